"""What the marks of a picture cost, and what the watermark survives: docs/marking.md quotes it.

python -m benchmarks.marking            # about five minutes; writes benchmarks/results/marking.md
python -m benchmarks.marking --quick    # fewer pictures; prints only

Pictures: what the engine makes of the sample portrait (one scene of each kind, 1,280 px), the portrait itself, a flat
one and a gradient. Unmarked ones: crops of the portrait, of the contact sheet and of noise, in many sizes. CPU time is
the process's own, so that a busy machine changes it little; medians.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import matplotlib
import numpy as np
from cryptography import x509
from PIL import Image

from benchmarks.commit import commit
from clients.local.authority import new_content_signer
from services.render import models
from services.render.catalogue import Catalogue
from services.render.engines.onnx import OnnxEngine
from services.render.marking import watermark, xmp
from services.render.marking.credentials import Credentials
from services.render.marking.source_type import SourceType
from services.render.picture import Job, Picture
from services.render.steps.pixels import Array

RESULTS = Path(__file__).parent / "results" / "marking.md"
SHEET = Path(__file__).parents[1] / "docs/images/scenes.jpg"
SCENES = ("spring_meadow", "watercolour", "bright_day")
MADE = SourceType.EDITED_BY_AI
Change = Callable[[Image.Image], Image.Image]
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marking", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    engine = OnnxEngine(model_dir=models.default_dir(), catalogue=Catalogue.load())
    engine.start()
    photo = (Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()
    pictures, seconds = {}, {}
    for scene in SCENES[2:] if quick else SCENES:
        cpu, made = _timed(lambda scene=scene: _render(engine, scene, photo))
        pictures[scene], seconds[scene] = _opened(made.data), cpu
    sample = Image.open(io.BytesIO(photo)).convert("RGB").resize((1024, 1280))
    pictures |= {
        "the portrait": np.asarray(sample, np.float32) / np.float32(255),
        "flat": np.full((1280, 1024, 3), 0.8, np.float32),
        "gradient": np.broadcast_to(np.linspace(0.15, 0.85, 1280, dtype=np.float32)[:, None, None], (1280, 1024, 3)),
    }
    report = "\n".join([*_survival(pictures), *_false_alarms(50 if quick else 500), *_cost(pictures, seconds)])
    print(report)
    if not quick:
        head = f"# Marks: what they survive, and what they cost\n\n`python -m benchmarks.marking`, {commit()}.\n"
        RESULTS.write_text(f"{head}{report}\n", encoding="utf-8")


def _survival(pictures: dict[str, Array]) -> Iterator[str]:
    marked = {name: watermark.embed(picture, MADE) for name, picture in pictures.items()}
    yield "\n## What the watermark survives\n"
    yield f"Bits of {watermark.BITS} that agree after the picture has been sent as a JPEG and then changed."
    yield f"{watermark.LEAST} are needed; half of them agree by chance.\n"
    yield "| then | " + " | ".join(pictures) + " |"
    yield "| --- |" + " ---: |" * len(pictures)
    yield _row("nothing, and no mark", [_agreeing(_image(picture)) for picture in pictures.values()])
    for name, change in _CHANGES.items():
        yield _row(name, [_agreeing(change(_sent(picture))) for picture in marked.values()])
    yield _row("PSNR of the mark, dB", [f"{_psnr(pictures[name], picture):.1f}" for name, picture in marked.items()])
    yield _row("SSIM of the mark", [f"{_ssim(pictures[name], picture):.4f}" for name, picture in marked.items()])


def _false_alarms(count: int) -> Iterator[str]:
    read = sorted(_agreeing(image, either=True) for image in _unmarked(count))
    found = sum(agreeing >= watermark.LEAST for agreeing in read)
    yield f"\n## Where there is none\n\n{count} pictures without the mark: found in {found}."
    yield f"Bits that agreed with the nearer word: {read[-1]} at most, {read[count // 2]} in the median."


def _cost(pictures: dict[str, Array], seconds: dict[str, float]) -> Iterator[str]:
    pair, chain = new_content_signer(datetime.now(UTC))
    credentials = Credentials(x509.load_pem_x509_certificates(chain), pair.key)
    yield "\n## What the marks cost\n\nCPU of one thread, medians of 9.\n"
    yield "| picture | making it, s | watermark, ms | XMP and credentials, ms | together | file grows by |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for scene, whole in seconds.items():
        picture = pictures[scene]
        jpeg = _jpeg(_image(picture), 91)
        marking = statistics.median(_timed(lambda p=picture: watermark.embed(p, MADE))[0] for _ in range(9))
        signing = statistics.median(_timed(lambda j=jpeg: _signed(credentials, j))[0] for _ in range(9))
        grown = len(_signed(credentials, jpeg)) - len(jpeg)
        share = (marking + signing) / (whole + marking + signing)
        yield f"| {scene} | {whole:.1f} | {marking * 1e3:.0f} | {signing * 1e3:.1f} | {share:.1%} | {grown:,} bytes |"


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def _signed(credentials: Credentials, jpeg: bytes) -> bytes:
    return credentials.sign(xmp.marked(jpeg, MADE), MADE)


def _render(engine: OnnxEngine, scene: str, photo: bytes) -> Picture:
    with Image.open(io.BytesIO(photo)) as image:
        width, height = image.size
    return engine.render(Job([photo], "jpeg", width, height, 1, scene), lambda step, at: None, lambda: False)


def _agreeing(image: Image.Image, *, either: bool = False) -> int:
    """either: with whichever word agrees better."""
    found = watermark.agreeing(_pixels(image))
    return max(found.values()) if either else found[MADE]


def _unmarked(count: int) -> Iterator[Image.Image]:
    rng = np.random.default_rng(11)
    with (
        Image.open(SHEET) as sheet,
        Image.open(Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg") as one,
    ):
        sources = [sheet.convert("RGB"), one.convert("RGB")]
    for number in range(count):
        if number % 10 == 9:
            side = int(rng.integers(64, 700))
            yield Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8))
            continue
        source = sources[number % 2]
        width, height = (int(rng.integers(90, min(each, 500))) for each in source.size)
        left, top = int(rng.integers(0, source.width - width)), int(rng.integers(0, source.height - height))
        scale = float(rng.uniform(0.5, 2.5))
        part = source.crop((left, top, left + width, top + height))
        yield part.resize((round(width * scale), round(height * scale)))


def _row(name: str, values: Sequence[object]) -> str:
    return f"| {name} | " + " | ".join(map(str, values)) + " |"


def _image(picture: Array) -> Image.Image:
    return Image.fromarray((picture * 255 + 0.5).astype(np.uint8))


def _pixels(image: Image.Image) -> Array:
    return np.asarray(image.convert("RGB"), np.float32) / np.float32(255)


def _opened(data: bytes) -> Array:
    with Image.open(io.BytesIO(data)) as image:
        return _pixels(image)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, subsampling="4:2:0" if quality < 90 else "4:4:4")
    return out.getvalue()


def _sent(picture: Array) -> Image.Image:
    return _compressed(_image(picture), 91)


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(_jpeg(image, quality))).convert("RGB")


def _scaled(image: Image.Image, share: float) -> Image.Image:
    return image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.LANCZOS)


def _cropped(image: Image.Image) -> Image.Image:
    """A tenth of each side's length is gone."""
    x, y = image.width // 20, image.height // 20
    return image.crop((x, y, image.width - x, image.height - y))


_CHANGES: dict[str, Change] = {
    "nothing": lambda image: image,
    "JPEG q70": lambda image: _compressed(image, 70),
    "JPEG q50": lambda image: _compressed(image, 50),
    "half size": lambda image: _scaled(image, 0.5),
    "half size, JPEG q70": lambda image: _compressed(_scaled(image, 0.5), 70),
    "half size, JPEG q50": lambda image: _compressed(_scaled(image, 0.5), 50),
    "a third, JPEG q70": lambda image: _compressed(_scaled(image, 1 / 3), 70),
    "double size, JPEG q70": lambda image: _compressed(_scaled(image, 2), 70),
    "gray": lambda image: image.convert("L").convert("RGB"),
    "5 % lighter": lambda image: image.point(lambda value: min(255, round(value * 1.05))),
    "15 % lighter": lambda image: image.point(lambda value: min(255, round(value * 1.15))),
    "1 % of each side cut off": lambda image: image.crop((5, 6, image.width - 5, image.height - 6)),
    "10 % of each side cut off": _cropped,
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def _psnr(before: Array, after: Array) -> float:
    return float(10 * np.log10(1 / np.mean((before - after) ** 2)))


def _ssim(before: Array, after: Array) -> float:
    """Wang et al., 2004, on luma, over squares of 8 px."""
    first, second = (_squares(picture @ np.array([0.299, 0.587, 0.114], np.float32)) for picture in (before, after))
    one, two = first.mean(axis=1), second.mean(axis=1)
    shared = ((first - one[:, None]) * (second - two[:, None])).mean(axis=1)
    light = (2 * one * two + 1e-4) / (one**2 + two**2 + 1e-4)
    return float((light * (2 * shared + 9e-4) / (first.var(axis=1) + second.var(axis=1) + 9e-4)).mean())


def _squares(luma: Array) -> Array:
    height, width = (side // 8 * 8 for side in luma.shape)
    return luma[:height, :width].reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 64)


if __name__ == "__main__":
    main()
