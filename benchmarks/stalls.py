"""What one stalled reader makes others buffer: how far a fast client gets while a service is stopped."""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from dataclasses import dataclass

from benchmarks import processes, rig, sample
from clients.local import ops

STALLED = ("render", "ingest")


@dataclass(frozen=True)
class Stall:
    """MiB: taken from the client, taken in by ingest, and the growth of two processes."""

    sent: float
    ingest_took: float
    gateway_grew: float
    ingest_grew: float


async def measure(photo: bytes, repeats: int) -> dict[str, list[Stall]]:
    """Who was stopped -> per repetition."""
    found: dict[str, list[Stall]] = defaultdict(list)
    for _ in range(repeats):
        for service in STALLED:
            with rig.running_mesh() as mesh:
                await rig.warm_up(mesh, sample.photo_small(), 3)
                found[service].append(await _stall(mesh, photo, service))
    return found


async def _stall(mesh: rig.LocalMesh, photo: bytes, service: str) -> Stall:
    gateway, ingest = mesh.pid("gateway"), mesh.pid("ingest")
    await asyncio.sleep(0.3)
    before = processes.resident(gateway), processes.resident(ingest)
    go = asyncio.Event()
    upload = rig.GatedUpload(photo, go, go)
    async with rig.client_of(mesh) as client:
        trip = asyncio.create_task(rig.trip(client, upload))
        async with asyncio.timeout(20):
            await upload.leased.wait()
        with rig.stopped(mesh, service):
            go.set()
            sent = await rig.quiet(lambda: upload.sent, 2.0)
            grew = [processes.resident(pid) - was for pid, was in zip((gateway, ingest), before, strict=True)]
            took = 0 if service == "ingest" else await asyncio.to_thread(_in_custody, mesh, "ingest")
        async with asyncio.timeout(60):
            await trip
    return Stall(sent / processes.MIB, took / processes.MIB, *grew)


def _in_custody(mesh: rig.LocalMesh, service: str) -> float:
    return ops.total(ops.metrics(mesh.ops_address(service)), "mayfly_custody_bytes") or 0.0


def report(photo: bytes, found: dict[str, list[Stall]]) -> str:
    """As Markdown."""
    lines = [
        "## A stalled reader\n",
        f"A fast client uploads {len(photo) / processes.MIB:.1f} MiB while one service is stopped (SIGSTOP), until "
        "nothing moves any more: MiB, median (most) of "
        f"{len(next(iter(found.values())))} fresh meshes. Afterwards the service goes on and the photo is delivered.\n",
        "| stopped | taken from the client | of it in ingest's hands | gateway grew by | ingest grew by |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for service, stalls in found.items():
        cells = " | ".join(
            f"{statistics.median(values):.1f} ({max(values):.1f})"
            for name in ("sent", "ingest_took", "gateway_grew", "ingest_grew")
            if (values := [getattr(stall, name) for stall in stalls])
        )
        lines.append(f"| {service} | {cells} |")
    return "\n".join(lines) + "\n"
