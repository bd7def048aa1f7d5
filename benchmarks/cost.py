"""CPU and wall time of one photo through the whole mesh, beside the same scrub and a re-encode in one process."""

from __future__ import annotations

import asyncio
import hashlib
import io
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator

from PIL import Image

from benchmarks import rig
from services.ingest.limits import Limits
from services.ingest.scrub import Scrubber

CHUNKS = {"64 KiB": 64 << 10, "512 KiB": 512 << 10, "1 MiB": 1 << 20}
_SETTLING = 0.03  # seconds after the receipt in which custody reports and log entries still cost CPU


def scrubbed(photo: bytes) -> None:
    """The scrub and the digest, without a mesh."""
    scrubber, digest = Scrubber(Limits()), hashlib.sha256()
    for at in range(0, len(photo), rig.CHUNK):
        for piece in scrubber.feed(photo[at : at + rig.CHUNK]):
            digest.update(piece)
    for piece in scrubber.finish()[0]:
        digest.update(piece)


def reencoded(photo: bytes) -> None:
    """The usual way to strip: decode, build anew from pixels, encode."""
    with Image.open(io.BytesIO(photo)) as image:
        clean = Image.frombytes(image.mode, image.size, image.tobytes())
        clean.save(io.BytesIO(), "JPEG", quality=89)


ONE_PROCESS = {"the same scrub, one process": scrubbed, "Pillow re-encode, one process": reencoded}
Samples = dict[str, list[dict[str, float]]]
"""Contender -> per round: seconds of each process, "wall" and "total" (CPU)."""


async def measure(photo: bytes, rounds: int) -> tuple[Samples, float]:
    """The samples, and what an idle mesh takes: CPU seconds a second. Contenders take turns in each round."""
    samples: Samples = defaultdict(list)
    with rig.running_mesh() as mesh:
        await rig.warm_up(mesh, photo, 8)
        async with rig.client_of(mesh) as client:
            for turn in range(rounds):
                for name in _rotated(turn):
                    if name in ONE_PROCESS:
                        samples[name].append(_alone(name, photo))
                    else:
                        samples[name].append(await _through(mesh, client, photo, CHUNKS[name]))
        before = rig.cpu(mesh)
        await asyncio.sleep(2.0)
        after = rig.cpu(mesh)
    return samples, sum(after[name] - before[name] for name in rig.MESH) / 2.0


def _rotated(turn: int) -> Iterator[str]:
    """Nobody always comes after the same one."""
    names = [*CHUNKS, *ONE_PROCESS]
    at = turn % len(names)
    yield from names[at:] + names[:at]


def _alone(name: str, photo: bytes) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    ONE_PROCESS[name](photo)
    return {"wall": time.perf_counter() - wall, "total": time.process_time() - cpu}


async def _through(mesh: rig.LocalMesh, client: rig.MayflyClient, photo: bytes, chunk: int) -> dict[str, float]:
    before, began = rig.cpu(mesh), time.perf_counter()
    await rig.trip(client, rig.Upload(photo, chunk))
    wall = time.perf_counter() - began
    await asyncio.sleep(_SETTLING)
    after = rig.cpu(mesh)
    spent = {name: after[name] - before[name] for name in after}
    return {**spent, "wall": wall, "total": sum(spent.values())}


def report(photo: bytes, samples: Samples, idle: float) -> str:
    """As Markdown."""
    columns = [*rig.MESH, "client"]
    lines = [
        f"## One photo: {len(photo) / 1e6:.1f} MB, 4000 × 3000 JPEG with EXIF, null engine\n",
        f"CPU milliseconds (user and system) of each process, medians of {len(next(iter(samples.values())))} rounds. "
        f"An idle mesh takes {idle * 1e3:.1f} ms a second of itself, which is not taken off.\n",
        f"| contender | {' | '.join(columns)} | CPU in all | best | wall | CPU beside the scrub |",
        f"| --- |{' ---: |' * (len(columns) + 4)}",
    ]
    scrub = _median(samples["the same scrub, one process"], "total")
    for name, rounds in samples.items():
        label = f"mesh, chunks of {name}" if name in CHUNKS else name
        parts = " | ".join(f"{_median(rounds, column):.1f}" if column in rounds[0] else "" for column in columns)
        best = min(sample["total"] for sample in rounds) * 1e3
        total = _median(rounds, "total")
        lines.append(
            f"| {label} | {parts} | {total:.1f} | {best:.1f} | {_median(rounds, 'wall'):.1f} | {total / scrub:.1f} × |"
        )
    return "\n".join(lines) + "\n"


def _median(rounds: list[dict[str, float]], column: str) -> float:
    return statistics.median(sample[column] for sample in rounds) * 1e3
