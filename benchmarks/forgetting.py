"""What each measure against remains in memory brings, and what it costs: docs/residue.md has the table.

python -m benchmarks.forgetting            # about ten minutes; writes benchmarks/results/forgetting.md
python -m benchmarks.forgetting --quick    # fewer rounds; prints only

Remains: a photo goes through, or is refused in the midst of its upload; one second after the last custody has ended all
processes are stopped (SIGSTOP), and every 32-byte window of upload, decoded pixels, picture file and picture pixels is
looked for in the memory of each. The client keeps its connection. Cost: one photo at a time through meshes that run
side by side, in turns, each over a new connection, as phones come, with the engine that does nothing: the worst case,
since the real one hides it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import random
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import processes, rig
from benchmarks.commit import commit
from benchmarks.retentive import MEASURES
from benchmarks.sample import photo_12mp
from clients.local import ops
from clients.local.mesh import LocalMesh
from clients.sdk.client import MayflyClient
from mesh.errors import MeshError
from services.purge.auditor.hunt import memory
from services.purge.auditor.hunt.index import Needle, NeedleIndex
from services.render.decoding import decode_here

RESULTS = Path(__file__).parent / "results" / "forgetting.md"
SERVICES = ("gateway", "ingest", "render")
SIZES = ("12 MP", "1 MP")
ROWS: dict[str, tuple[str, ...]] = {
    "default": (),
    "collection and trim alone": ("collect", "trim"),
    "perturb alone": ("perturb",),
    "perturb, no thread cache": ("perturb", "tcache"),
    "the same, Python's allocator off": ("perturb", "tcache", "pymalloc"),
    "the same, rinsed, idle connections closed": ("perturb", "tcache", "pymalloc", "rinse", "idle"),
    "the same, reads kept, collected": ("perturb", "tcache", "pymalloc", "rinse", "idle", "reads", "collect"),
    "all (the mesh as it is)": MEASURES,
}
_SIDE = 480  # px; noise, so that every window is its own
SOON = 1.0  # seconds after a photo has gone
_GONE_WITHIN = 20.0  # seconds
_SWEPT = 0.6  # seconds after a photo within which its sweep is over


def modules() -> dict[str, str]:
    return dict.fromkeys((*SERVICES, "purge"), "benchmarks.retentive")


@contextlib.contextmanager
def mesh_with(measures: Sequence[str], engine: str) -> Iterator[LocalMesh]:
    own = {"BENCH_MEASURES": ",".join(measures)}
    overrides = {service: dict(own) for service in (*SERVICES, "purge")}
    overrides["render"]["MAYFLY_RENDER_ENGINE"] = engine
    with (
        tempfile.TemporaryDirectory(prefix="mayfly-bench-") as folder,
        LocalMesh(Path(folder), overrides, modules=modules()) as mesh,
    ):
        yield mesh


def noise(seed: int) -> bytes:
    raw = random.Random(seed).randbytes(_SIDE * _SIDE * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (_SIDE, _SIDE), raw).save(out, "JPEG", quality=92, subsampling=0)
    return out.getvalue()


# --- remains ---


async def remains(measures: Sequence[str], photos: int) -> tuple[float, float, int]:
    """(share of the photos' windows found, of the pictures', bytes found of photos that were refused half-way)."""
    with mesh_with(measures, "onnx") as mesh:
        async with rig.client_of(mesh) as client:
            # What this one's picture has in common with the others' is no sign of them: marks say the same in all.
            first = (await client.render(rig.Upload(noise(0)).chunks(), rig.SCENE, ttl=120.0)).picture.data
            uploads, results = [], []
            for seed in range(1, photos + 1):
                photo = noise(seed)
                result = await client.render(rig.Upload(photo).chunks(), rig.SCENE, ttl=120.0)
                uploads += [photo, rows(decode_here("jpeg", [photo]).rgb)]
                results += [result.picture.data, rows(np.asarray(Image.open(io.BytesIO(result.picture.data))))]
            with frozen(mesh):
                found = [share(mesh, uploads, noise(0)), share(mesh, results, first)]
            broken = [damaged(noise(100 + seed)) for seed in range(photos)]
            for photo in broken:
                await refused(client, photo)
            with frozen(mesh):
                left = searched(mesh, NeedleIndex(needles(broken), common=[noise(0)]))
            return found[0], found[1], left


def rows(pixels: NDArray[np.uint8]) -> bytes:
    """One row in eight: whoever keeps pixels keeps whole rows, and an index of all of them takes half a minute."""
    return pixels[::8].tobytes()


def damaged(photo: bytes) -> bytes:
    """Its scan ends in a marker that can't be there: the refusal comes while the rest is still on its way."""
    half = len(photo) // 2
    return photo[:half] + b"\xff\xc0\x00\x01" + photo[half:]


async def refused(client: MayflyClient, photo: bytes) -> None:
    try:
        await client.render(rig.Upload(photo, 64 << 10).chunks(), rig.SCENE, ttl=60.0, reconnect=False)
    except MeshError:
        return
    raise AssertionError("the damaged photo was taken")


@contextlib.contextmanager
def frozen(mesh: LocalMesh) -> Iterator[None]:
    """Stopped one second after the last custody."""
    deadline = time.monotonic() + _GONE_WITHIN
    while any(ops.total(ops.metrics(mesh.ops_address(name)), "mayfly_custody_photos") for name in SERVICES):
        assert time.monotonic() < deadline, "a photo is still held"
        time.sleep(0.02)
    with stopped(mesh):
        yield


@contextlib.contextmanager
def stopped(mesh: LocalMesh) -> Iterator[None]:
    """SIGSTOP for every process, one second from now, so that what is searched is a moment and not a minute."""
    time.sleep(SOON)
    pids = pids_of(mesh)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def with_children(pid: int) -> list[int]:
    """proc_pid_task_tid_children(5)."""
    listed = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")).split()
    return [pid, *(each for child in map(int, listed) for each in with_children(child))]


def needles(texts: Sequence[bytes]) -> list[Needle]:
    return [Needle(str(number), text) for number, text in enumerate(texts)]


def share(mesh: LocalMesh, texts: Sequence[bytes], other: bytes) -> float:
    """Of the windows of ``texts`` that ``other`` hasn't, how many are in the mesh's memory."""
    index = NeedleIndex(needles(texts), common=[other])
    known = np.concatenate([memory.learn(pid, index) for pid in pids_of(mesh)])
    return len(np.unique(known)) / index.size


def searched(mesh: LocalMesh, index: NeedleIndex) -> int:
    """Bytes in the memory of the mesh's processes that are windows of the index."""
    return sum(memory.search(pid, index).residue for pid in pids_of(mesh))


def pids_of(mesh: LocalMesh) -> list[int]:
    return [pid for name in mesh.processes for pid in with_children(mesh.pid(name))]


# --- cost ---


async def costs(rows: dict[str, tuple[str, ...]], rounds: int) -> dict[str, dict[str, list[dict[str, float]]]]:
    """row -> size -> per round: CPU seconds of each service for one photo."""
    sizes = {"12 MP": photo_12mp(), "1 MP": small(photo_12mp())}
    samples = {row: {size: [] for size in sizes} for row in rows}
    async with contextlib.AsyncExitStack() as stack:
        meshes = {row: stack.enter_context(mesh_with(measures, "null")) for row, measures in rows.items()}
        for mesh in meshes.values():
            await rig.warm_up(mesh, sizes["12 MP"], 3)
        for number in range(rounds):
            for size, photo in sizes.items():
                for row in random.Random(number).sample(list(rows), len(rows)):
                    samples[row][size].append(await one(meshes[row], photo))
        for row, mesh in meshes.items():
            memory_of[row] = {name: processes.resident(mesh.pid(name)) for name in SERVICES}
            peak_of[row] = {name: processes.peak(mesh.pid(name)) for name in SERVICES}
    return samples


memory_of: dict[str, dict[str, float]] = {}
peak_of: dict[str, dict[str, float]] = {}
"""row -> service -> MiB: resident at the end, and at the most."""


async def one(mesh: LocalMesh, photo: bytes) -> dict[str, float]:
    before = rig.cpu(mesh)
    async with rig.client_of(mesh) as client:
        await rig.trip(client, rig.Upload(photo))
    await asyncio.sleep(_SWEPT)  # what is done after the photo belongs to it
    after = rig.cpu(mesh)
    return {name: after[name] - before[name] for name in SERVICES}


def small(photo: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(photo)).convert("RGB").reduce(4).resize((1156, 867)).save(out, "JPEG", quality=90)
    return out.getvalue()


# --- report ---


def table(left: dict[str, tuple[float, float, int]], samples: dict[str, dict[str, list[dict[str, float]]]]) -> str:
    lines = [
        "| measures | upload and pixels left | picture left | of refused photos, bytes | CPU, 12 MP | CPU, 1 MP "
        "| resident at the end: gateway, ingest, render | at the most |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for row in ROWS:
        photo, picture, refusals = left[row]
        ratios = [f"× {ratio(samples, row, size):.2f}" for size in ("12 MP", "1 MP")]
        sizes = [", ".join(f"{found[row][name]:.0f}" for name in SERVICES) + " MiB" for found in (memory_of, peak_of)]
        lines.append(
            f"| {row} | {percent(photo)} | {percent(picture)} | {refusals:,} | {' | '.join(ratios)} "
            f"| {' | '.join(sizes)} |"
        )
    return "\n".join(lines)


def percent(value: float) -> str:
    return "**0**" if not value else f"{value:.3%}"


def ratio(samples: dict[str, dict[str, list[dict[str, float]]]], row: str, size: str) -> float:
    """Median of the rounds' ratios to the default."""
    pairs = zip(samples[row][size], samples["default"][size], strict=True)
    return statistics.median(sum(mine.values()) / sum(theirs.values()) for mine, theirs in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--photos", type=int, default=3, help="of each kind, for what remains")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    began = time.monotonic()
    left = {row: asyncio.run(remains(measures, 1 if given.quick else given.photos)) for row, measures in ROWS.items()}
    samples = asyncio.run(costs(ROWS, 4 if given.quick else given.rounds))
    base = {size: statistics.median(sum(each.values()) for each in samples["default"][size]) for size in SIZES}
    text = (
        "# Memory that forgets: what each measure brings and costs\n\n"
        f"Commit {commit()}; {os.cpu_count()} cores, made by `python -m benchmarks.forgetting` in "
        f"{time.monotonic() - began:.0f} s on a machine with other work (load {os.getloadavg()[0]:.1f} at the end). "
        f"CPU of gateway, ingest and render for one photo, default: {base['12 MP'] * 1e3:.0f} ms at 12 MP, "
        f"{base['1 MP'] * 1e3:.0f} ms at 1 MP.\n\n{table(left, samples)}\n"
    )
    print(text)
    if not given.quick:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
