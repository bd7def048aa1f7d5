"""Peak memory of each service with 1, 8 and 32 photos in flight at the same moment."""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass

from benchmarks import processes, rig
from mesh.frames import FRAME_CHUNK_BYTES
from mesh.server import LOOKAHEAD_BYTES

SERVICES = ("gateway", "ingest", "render", "purge")
CASES = {
    "": "all but the last chunk is in; the clients wait",
    "render": "render is stopped (SIGSTOP); everything before it fills up",
    "ingest": "ingest is stopped (SIGSTOP); everything before it fills up",
}
BOUND = (4 * FRAME_CHUNK_BYTES + 3 * LOOKAHEAD_BYTES) / processes.MIB
"""MiB a photo: 4 frames, and the windows of the three streams that end at the gateway (client, ingest, render)."""


@dataclass(frozen=True)
class Held:
    """MiB of one service: before, with all photos in flight, and at the worst moment until all had ended."""

    idle: float
    held: float
    peak: float


Runs = dict[tuple[str, int], list[dict[str, Held]]]
"""(who is stopped, photos) -> per fresh mesh: service -> memory."""


async def measure(photo: bytes, counts: Sequence[int], repeats: int) -> Runs:
    """Each measurement has a mesh of its own: an allocator keeps what an earlier one has grown."""
    runs: Runs = defaultdict(list)
    for _ in range(repeats):
        for count in counts:
            for case in CASES:
                runs[case, count].append(await _in_flight(photo, count, case))
    return runs


async def _in_flight(photo: bytes, count: int, case: str) -> dict[str, Held]:
    with rig.running_mesh() as mesh:
        pids = {service: mesh.pid(service) for service in SERVICES}
        await rig.warm_up(mesh, photo, 4)
        await asyncio.sleep(0.5)
        idle = {service: processes.resident(pid) for service, pid in pids.items()}
        for pid in pids.values():
            processes.forget_peak(pid)
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(rig.client_of(mesh)) for _ in range(count)]
            held = await _hold(mesh, clients, photo, case, pids)
        return {service: Held(idle[service], held[service], processes.peak(pid)) for service, pid in pids.items()}


async def _hold(
    mesh: rig.LocalMesh, clients: Sequence[rig.MayflyClient], photo: bytes, case: str, pids: dict[str, int]
) -> dict[str, float]:
    """Memory with all photos in flight; then lets them all end."""
    start, finish = asyncio.Event(), asyncio.Event()
    uploads = [rig.GatedUpload(photo, start, finish) for _ in clients]
    trips = [asyncio.create_task(rig.trip(client, upload)) for client, upload in zip(clients, uploads, strict=True)]
    async with asyncio.timeout(60):
        # All have a lease before anything is stopped, and none is ahead.
        await asyncio.gather(*(upload.leased.wait() for upload in uploads))
    with rig.stopped(mesh, case) if case else nullcontext():
        start.set()
        if case:
            finish.set()
        await rig.quiet(lambda: sum(upload.sent for upload in uploads))
        held = {service: processes.resident(pid) for service, pid in pids.items()}
    finish.set()
    async with asyncio.timeout(90):
        await asyncio.gather(*trips)
    return held


def report(runs: Runs) -> str:
    """As Markdown."""
    repeats = len(next(iter(runs.values())))
    lines = [
        "## Memory with photos in flight\n",
        f"MiB resident (VmRSS; peak: VmHWM, reset when idle), medians of {repeats} fresh meshes, each client with a "
        f"connection of its own. The gateway's bound is 4 frames of 512 KiB and 3 stream windows: {BOUND:.1f} MiB a "
        "photo. What is resident is more than what is in use: the allocator's free blocks, and what it grows by once, "
        "are in it, so that few photos look dearer than many.\n",
    ]
    for case, meaning in CASES.items():
        lines += [
            f"### {meaning[0].upper()}{meaning[1:]}\n",
            "| photos | service | idle | held | peak | held − idle, a photo | peak − idle, a photo |",
            "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for (stopped, count), found in runs.items():
            if stopped == case:
                lines += [_row(count, service, [run[service] for run in found]) for service in SERVICES]
        lines.append("")
    return "\n".join(lines)


def _row(count: int, service: str, found: Sequence[Held]) -> str:
    idle, held, peak = (statistics.median(getattr(run, name) for run in found) for name in ("idle", "held", "peak"))
    over_idle = statistics.median((run.held - run.idle) / count for run in found)
    at_peak = statistics.median((run.peak - run.idle) / count for run in found)
    return f"| {count} | {service} | {idle:.0f} | {held:.0f} | {peak:.0f} | {over_idle:.2f} | {at_peak:.2f} |"
