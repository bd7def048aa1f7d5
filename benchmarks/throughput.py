"""Photos a second with 1, 4 and 16 clients that each send one photo after the other."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack

from benchmarks import rig

Samples = dict[int, list[dict[str, float]]]
"""Clients -> per round: "rate" (photos a second), CPU seconds a photo of each process, their "total"."""


async def measure(photo: bytes, clients: Sequence[int], rounds: int, photos: int) -> Samples:
    """``photos`` in each round, shared by the clients; the numbers of clients take turns."""
    samples: Samples = defaultdict(list)
    with rig.running_mesh() as mesh:
        await rig.warm_up(mesh, photo, 8)
        for _ in range(rounds):
            for count in clients:
                samples[count].append(await _round(mesh, photo, count, photos))
    return samples


async def _round(mesh: rig.LocalMesh, photo: bytes, count: int, photos: int) -> dict[str, float]:
    left = iter(range(photos))

    async def work(client: rig.MayflyClient) -> None:
        for _ in left:
            await rig.trip(client, rig.Upload(photo))

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(rig.client_of(mesh)) for _ in range(count)]
        before, began = rig.cpu(mesh), time.perf_counter()
        await asyncio.gather(*map(work, clients))
        seconds, after = time.perf_counter() - began, rig.cpu(mesh)
    spent = {name: (after[name] - before[name]) / photos for name in after}
    return {**spent, "total": sum(spent.values()), "rate": photos / seconds}


def report(samples: Samples) -> str:
    """As Markdown."""
    columns = [*rig.MESH, "client", "total"]
    lines = [
        "## Throughput\n",
        f"Medians of {len(next(iter(samples.values())))} rounds; CPU milliseconds a photo. All clients are one "
        "process, on the same cores as the mesh.\n",
        f"| clients | photos/s | {' | '.join(columns)} |",
        f"| ---: |{' ---: |' * (len(columns) + 1)}",
    ]
    for count, rounds in samples.items():
        cells = " | ".join(f"{statistics.median(each[name] for each in rounds) * 1e3:.1f}" for name in columns)
        lines.append(f"| {count} | {statistics.median(each['rate'] for each in rounds):.1f} | {cells} |")
    return "\n".join(lines) + "\n"
