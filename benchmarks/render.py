"""What a picture takes, by step, and what of it are the networks; what the engine adds to them; pictures a second.

python -m benchmarks.render                      # about six minutes; writes benchmarks/results/render.md
python -m benchmarks.render --before CHECKOUT    # beside an earlier version, in turns
python -m benchmarks.render --quick              # one round of three scenes; prints only

CPU seconds of one thread for a photo of 12 megapixels; medians. The worlds of milestones are painted once and kept, so
the first picture of each scene is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from prometheus_client import CollectorRegistry

from benchmarks.commit import commit
from mesh.clock import SystemClock
from services.render import models
from services.render.catalogue import Catalogue
from services.render.contact_sheet import sample
from services.render.engines.onnx import OnnxEngine, OnnxNetworks, session
from services.render.metrics import RenderMetrics
from services.render.picture import Job
from services.render.slots import Order, Slots
from services.render.steps.cut_out import SIDE

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "render.md"
WIDTH, HEIGHT = 3000, 4000  # px: 12 megapixels
_QUICK = ("bright_day", "spring_meadow", "storybook_oil")
_PAINTED = (768, 576)  # px, a usual size of what the style network gets
_SHOWN = 0.05  # share of a picture below which a step isn't worth a word
Answer = dict[str, Any]


def portrait() -> bytes:
    """Somebody to cut out: the sample portrait, enlarged."""
    with Image.open(sample()) as image:
        out = io.BytesIO()
        image.resize((WIDTH, HEIGHT)).save(out, "JPEG", quality=92)
    return out.getvalue()


class Child:
    """A renderer in a process of its own, of a checkout."""

    def __init__(self, checkout: Path, photo: Path) -> None:
        env = {**os.environ, "PYTHONPATH": str(checkout), "MAYFLY_MODEL_DIR": str(models.default_dir())}
        command = [sys.executable, "-P", str(Path(__file__).with_name("render_child.py")), str(photo)]
        self._process = subprocess.Popen(
            [*command, str(WIDTH), str(HEIGHT)],
            cwd=checkout,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def render(self, scene_id: str) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{scene_id}\n")
        self._process.stdin.flush()
        answer: Answer = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@contextmanager
def children(checkouts: Sequence[Path], photo: Path) -> Iterator[list[Child]]:
    made = [Child(checkout, photo) for checkout in checkouts]
    try:
        yield made
    finally:
        for child in made:
            child.close()


def pictures(scenes: Sequence[str], rounds: int, checkouts: Sequence[Path]) -> dict[str, list[list[Answer]]]:
    """Scene → of each checkout, its answers; in turns."""
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(portrait())
        found: dict[str, list[list[Answer]]] = {}
        with children(checkouts, photo) as made:
            for scene in scenes:
                for child in made:
                    child.render(scene)
                answers = [[child.render(scene) for child in made] for _ in range(rounds)]
                found[scene] = [list(own) for own in zip(*answers, strict=True)]
        return found


def peak(scene: str, checkout: Path) -> float:
    """MiB resident at most, for one picture in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(portrait())
        with children([checkout], photo) as (child,):
            return float(child.render(scene)["peak"])


def overhead(rounds: int) -> dict[str, float]:
    """Network → what the engine's call takes against onnxruntime's own with the same tensors; median of ratios."""
    cut_out, style = models.verify(models.default_dir()), models.style_network()
    networks = OnnxNetworks(cut_out, style, 1, faces=models.face_network(models.default_dir()))
    straight = {"cut_out": session(cut_out, 1), "stylize": session(style, 1)}
    rng = np.random.default_rng(1)
    small = rng.random((SIDE, SIDE, 3), dtype=np.float32)
    large = rng.random((*_PAINTED, 3), dtype=np.float32)
    weights = (1.0, *([0.0] * 25))
    feeds: dict[str, tuple[Callable[[], object], list[str], dict[str, Any]]] = {
        "cut_out": (
            lambda: networks.cut_out(small),
            [straight["cut_out"].get_outputs()[0].name],
            {straight["cut_out"].get_inputs()[0].name: np.ascontiguousarray(small.transpose(2, 0, 1)[None])},
        ),
        "stylize": (
            lambda: networks.stylize(large, weights),
            ["stylized"],
            {
                "image": np.ascontiguousarray(large.transpose(2, 0, 1)[None]),
                "style_weights": np.asarray(weights, np.float32),
            },
        ),
    }
    ratios = {}
    for name, (engine, outputs, feed) in feeds.items():
        ratios[name] = statistics.median(
            _seconds(engine) / _seconds(lambda: straight[name].run(outputs, feed))  # noqa: B023
            for _ in range(rounds)
        )
    return ratios


def _seconds(run: Callable[[], object]) -> float:
    began = time.thread_time()
    run()
    return time.thread_time() - began


async def queued(scene_id: str, counts: Sequence[int]) -> list[tuple[int, float, float]]:
    """(photos at once, pictures a second, seconds until the last one) with two slots."""
    catalogue, photo = Catalogue.load(), portrait()
    engine = OnnxEngine(model_dir=models.default_dir(), catalogue=catalogue, intra_op_threads=1)
    clock = SystemClock()
    slots = Slots(engine, slots=2, queue=64, metrics=RenderMetrics(CollectorRegistry()), clock=clock)
    await slots.start()
    scene = catalogue.get(scene_id)

    async def one(number: int) -> None:
        with slots.admit(Order(scene, bytes([number]), "standard", clock.monotonic() + 3600)) as place:
            await place.render(Job([photo], "jpeg", WIDTH, HEIGHT, 1, scene_id), lambda state: None)

    await one(0)
    rows = []
    for count in counts:
        began = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(count)))
        seconds = time.perf_counter() - began
        rows.append((count, count / seconds, seconds))
    await slots.stop()
    return rows


def _median(answers: Sequence[Answer], of: Callable[[Answer], float]) -> float:
    return statistics.median(of(answer) for answer in answers)


def by_step(found: dict[str, list[list[Answer]]]) -> str:
    lines = ["| scene | CPU s | networks | steps |", "| --- | ---: | ---: | --- |"]
    for scene, (ours, *_) in found.items():
        whole = _median(ours, lambda answer: answer["cpu"])
        networks = _median(ours, lambda answer: answer["networks"])
        steps = {step: _median(ours, lambda answer: answer["steps"][step]) for step in ours[0]["steps"]}  # noqa: B023
        words = [
            f"{step} {seconds:.2f}"
            for step, seconds in sorted(steps.items(), key=lambda item: -item[1])
            if seconds > _SHOWN * whole
        ]
        lines.append(f"| `{scene}` | {whole:.2f} | {networks / whole:.0%} | {', '.join(words)} |")
    return "\n".join(lines)


def beside(found: dict[str, list[list[Answer]]]) -> str:
    lines = ["| scene | before, CPU s | now | ratio |", "| --- | ---: | ---: | ---: |"]
    for scene, (ours, before) in found.items():
        ratio = statistics.median(now["cpu"] / then["cpu"] for now, then in zip(ours, before, strict=True))
        now, then = (_median(answers, lambda answer: answer["cpu"]) for answers in (ours, before))
        lines.append(f"| `{scene}` | {then:.2f} | {now:.2f} | × {ratio:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--scenes", default="", help="ids with commas between; all when empty")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    began = time.monotonic()
    catalogue = Catalogue.load()
    scenes = [name for name in given.scenes.split(",") if name] or [scene.id for scene in catalogue.scenes()]
    scenes, rounds = (list(_QUICK), 1) if given.quick else (scenes, given.rounds)
    found = pictures(scenes, rounds, [ROOT])
    added = overhead(3 if given.quick else 9)
    rows = asyncio.run(queued("spring_meadow", (1, 4) if given.quick else (1, 4, 16)))
    peaks = {scene: peak(scene, ROOT) for scene in _QUICK}
    sections = [
        f"# What a picture takes\n\nCommit {commit()}; {os.cpu_count()} cores; made by `python -m benchmarks.render` "
        "in {seconds} s on a machine with other work (load {load:.1f} at the end). A photo of 12 megapixels, "
        "the embedded engine, one thread a network; only ratios travel.\n",
        f"## By step\n\nThe first picture of a scene, which paints its world, is left out.\n\n{by_step(found)}\n",
        "## The engine beside its networks\n\nThe engine's call against onnxruntime's own with the same tensors "
        "(goal ≤ 1.10): " + ", ".join(f"`{name}` × {ratio:.2f}" for name, ratio in added.items()) + ".\n",
        "## Photos that come at once\n\n`spring_meadow`, two slots.\n\n| at once | pictures/s | the last after s |\n"
        "| ---: | ---: | ---: |\n" + "\n".join(f"| {n} | {rate:.2f} | {last:.1f} |" for n, rate, last in rows) + "\n",
        "## Memory\n\nResident at most, one picture in a fresh process: "
        + ", ".join(f"`{scene}` {mib:.0f} MiB" for scene, mib in peaks.items())
        + ".\n",
    ]
    if given.before is not None:
        both = pictures([scene for scene in scenes if _known(given.before, scene)], rounds, [ROOT, given.before])
        sections.append(f"## Before and now\n\nIn turns, against {_head(given.before)}.\n\n{beside(both)}\n")
    text = "\n".join(sections).format(seconds=round(time.monotonic() - began), load=os.getloadavg()[0])
    print(text)
    if not given.quick:
        RESULTS.write_text(text, encoding="utf-8")


def _known(checkout: Path, scene: str) -> bool:
    return (checkout / "services/render/scenes" / scene / "scene.toml").is_file()


def _head(checkout: Path) -> str:
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=checkout, check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
