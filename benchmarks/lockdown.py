"""What the lockdown costs: one photo through a locked mesh and through one that isn't, in turns.

``python -m benchmarks.lockdown [ROUNDS]``; the figures are in docs/lockdown.md. Both meshes run side by side, so that
whatever else the machine does falls on both; only the ratios travel.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks import rig
from benchmarks.sample import photo_12mp
from clients.local.environment import SERVICES
from clients.local.mesh import LocalMesh

_SETTLING = 0.05
_OVERRIDES = {"render": {"MAYFLY_RENDER_ENGINE": "null"}}


async def measure(rounds: int) -> dict[str, list[dict[str, float]]]:
    """locked or not -> per round: CPU seconds of the mesh's processes, wall seconds."""
    photo = photo_12mp()
    unlocked = dict.fromkeys(SERVICES, "benchmarks.unlocked")
    samples: dict[str, list[dict[str, float]]] = {"locked": [], "unlocked": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mayfly-bench-")))
        meshes = {
            "locked": stack.enter_context(LocalMesh(folder / "a", _OVERRIDES)),
            "unlocked": stack.enter_context(LocalMesh(folder / "b", _OVERRIDES, modules=unlocked)),
        }
        for mesh in meshes.values():
            await rig.warm_up(mesh, photo, 8)
        clients = {name: await _entered(rig.client_of(mesh)) for name, mesh in meshes.items()}
        for turn in range(rounds):
            for name in ("locked", "unlocked") if turn % 2 else ("unlocked", "locked"):
                samples[name].append(await _trip(meshes[name], clients[name], photo))
        for client in clients.values():
            await client.__aexit__(None, None, None)
    return samples


async def _entered(client: rig.MayflyClient) -> rig.MayflyClient:
    return await client.__aenter__()


async def _trip(mesh: LocalMesh, client: rig.MayflyClient, photo: bytes) -> dict[str, float]:
    before, began = rig.cpu(mesh), time.perf_counter()
    await rig.trip(client, rig.Upload(photo))
    wall = time.perf_counter() - began
    await asyncio.sleep(_SETTLING)
    after = rig.cpu(mesh)
    return {name: after[name] - before[name] for name in SERVICES} | {"wall": wall}


def report(samples: dict[str, list[dict[str, float]]]) -> str:
    """As Markdown: medians in milliseconds."""
    columns = [*SERVICES, "wall"]
    lines = [f"| mesh | {' | '.join(columns)} | CPU of the four |", f"| --- |{' ---: |' * (len(columns) + 1)}"]
    totals = {}
    for name, rounds in samples.items():
        medians = {column: statistics.median(sample[column] for sample in rounds) * 1e3 for column in columns}
        totals[name] = statistics.median(sum(sample[service] for service in SERVICES) for sample in rounds) * 1e3
        lines.append(f"| {name} | {' | '.join(f'{medians[c]:.1f}' for c in columns)} | {totals[name]:.1f} |")
    lines.append(f"\nCPU: × {totals['locked'] / totals['unlocked']:.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 60))))
