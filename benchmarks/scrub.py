"""What a lossless, streaming scrub costs beside copying the bytes and beside re-encoding the picture.

    python -m benchmarks.scrub > benchmarks/results/scrub.md

A 12-megapixel photo of about 4 MB in each format. The contenders take turns within one run, so that whatever else the
machine does hits all of them; CPU time of the process, median and best of the rounds.
"""

from __future__ import annotations

import argparse
import io
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import PIL
from PIL import Image

from services.ingest.limits import Limits
from services.ingest.scrub import Scrubber

CHUNK = 512 * 1024
WIDTH, HEIGHT = 4000, 3000
Contender = Callable[[bytes], object]


def photo(noise: float) -> Image.Image:
    """Soft shapes with sensor noise; ``noise`` sets how many bytes a codec needs."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    soft = np.stack([np.sin(x / 90 + y / 70), np.cos(x / 150 - y / 330), np.sin(y / 140) * np.cos(x / 60)], -1)
    grain = np.random.default_rng(1).normal(0, noise, soft.shape)
    return Image.fromarray((127 + 80 * soft + grain).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)  # type: ignore[arg-type]
    return out.getvalue()


def photos() -> dict[str, bytes]:
    grainy, smooth = photo(12), photo(0)
    return {
        "JPEG baseline": encoded(grainy, "JPEG", quality=88),
        "JPEG progressive": encoded(grainy, "JPEG", quality=88, progressive=True),
        "PNG": encoded(smooth.point(lambda value: value & 0xF8), "PNG", compress_level=1),
        "WebP": encoded(grainy, "WEBP", quality=92, method=0),
    }


def copied(data: bytes) -> object:
    return [bytearray(data[start : start + CHUNK]) for start in range(0, len(data), CHUNK)]


def scrubbed(data: bytes, limits: Limits | None = None) -> object:
    """Chunks are cut by slicing, which copies them: as a frame off the wire is a copy."""
    scrubber = Scrubber(limits or Limits())
    for start in range(0, len(data), CHUNK):
        scrubber.feed(data[start : start + CHUNK])
    return scrubber.finish()


def inflated(data: bytes) -> object:
    return scrubbed(data, replace(Limits(), inflate_idat=True))


def reencoded(data: bytes) -> object:
    """The usual way to strip: decode, build anew from pixels, encode (PNG at the level that made it)."""
    with Image.open(io.BytesIO(data)) as image:
        options = {"JPEG": {"quality": 88}, "PNG": {"compress_level": 1}, "WEBP": {"quality": 92, "method": 0}}
        clean = Image.frombytes(image.mode, image.size, image.tobytes())
        return encoded(clean, image.format or "", **options[image.format or ""])


def contenders(name: str) -> dict[str, Contender]:
    extra: dict[str, Contender] = {"scrub, IDAT inflated": inflated} if name == "PNG" else {}
    return {"memcpy": copied, "scrub": scrubbed, **extra, "Pillow re-encode": reencoded}


def timed(contender: Contender, data: bytes) -> float:
    """CPU seconds."""
    start = time.process_time()
    contender(data)
    return time.process_time() - start


def measure(name: str, data: bytes, rounds: int) -> dict[str, list[float]]:
    """Each round gives every contender a turn; the slow ones sit out all but a few."""
    times: dict[str, list[float]] = {contender: [] for contender in contenders(name)}
    for turn in range(rounds):
        for contender, run in contenders(name).items():
            slow = run in (reencoded, inflated)
            if not slow or turn % (rounds // 3) == 0:
                times[contender].append(timed(run, data))
    return times


def report(name: str, data: bytes, times: dict[str, list[float]]) -> None:
    ours = statistics.median(times["scrub"])
    for contender, samples in times.items():
        median = statistics.median(samples)
        print(
            f"| {name} | {len(data) / 1e6:.1f} MB | {contender} | {median * 1e3:.2f} | {min(samples) * 1e3:.2f} "
            f"| {len(data) / median / 1e6:,.0f} | {median / ours:.2f} × |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    print("# Scrubbing a 12-megapixel photo, CPU time of one process\n")
    print(f"Python {platform.python_version()}, Pillow {PIL.__version__}, {platform.machine()}, chunks of 512 KiB.\n")
    print("| photo | size | contender | median ms | best ms | MB/s | beside the scrub |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for name, data in photos().items():
        report(name, data, measure(name, data, rounds))


if __name__ == "__main__":
    main()
