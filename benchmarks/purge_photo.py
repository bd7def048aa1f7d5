"""What one photo costs purge, and how long its end takes, at a steady load over gRPC and TLS."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from benchmarks import processes
from benchmarks.purge_rig import Purge, admin_of, running_purge

HELD = 0.3  # seconds that each holder has a photo


@dataclass
class Load:
    """What was measured at one rate. Seconds; per photo where it says so."""

    rate: float
    photos: int
    cpu: float = 0.0
    round_trips: float = 0.0
    settles: list[float] = field(default_factory=list)
    pings: list[float] = field(default_factory=list)  # GetReceipt, which is one round trip to Redis as well
    inclusions: list[float] = field(default_factory=list)  # from the settlement on


async def measure(rates: tuple[float, ...], seconds: float, turns: int) -> list[Load]:
    """Interleaved turns of each rate, on one purge."""
    loads = [Load(rate, 0) for rate in rates]
    async with running_purge() as purge:
        await _drive(purge, Load(50, 0), 2)
        idle_trips, idle_cpu = await _idle(purge)
        for _ in range(turns):
            for load in loads:
                trips, cpu, began = _reads(purge), processes.cpu_seconds(purge.pid), time.monotonic()
                await _drive(purge, load, seconds)
                passed = time.monotonic() - began
                load.cpu += processes.cpu_seconds(purge.pid) - cpu - idle_cpu * passed
                load.round_trips += _reads(purge) - trips - idle_trips * passed
    return loads


async def _drive(purge: Purge, load: Load, seconds: float) -> None:
    """Photos at a steady rate, whether the ones before are done or not."""
    began, tasks = time.monotonic(), []
    count = round(load.rate * seconds)
    for number in range(count):
        await asyncio.sleep(began + number / load.rate - time.monotonic())
        tasks.append(asyncio.create_task(purge.photo(HELD)))
    load.settles += [seconds for _, seconds in await asyncio.gather(*tasks)]
    load.photos += count


async def ends(rate: float, seconds: float) -> Load:
    """How long ends take at ``rate``, beside a call that is one round trip, and until the log has included them."""
    load = Load(rate, 0)
    async with running_purge() as purge:
        await _drive(purge, Load(rate, 0), 2)
        driving = asyncio.create_task(_drive(purge, load, seconds))
        while not driving.done():
            lease, _ = await purge.photo(0.0)
            began = time.perf_counter()
            await purge.receipt(lease, wait=False)
            load.pings.append(time.perf_counter() - began)
            await purge.receipt(lease, wait=True)
            load.inclusions.append(time.perf_counter() - began)
        await driving
    return load


async def _idle(purge: Purge) -> tuple[float, float]:
    """What purge does by itself in a second: round trips, CPU seconds."""
    trips, cpu = _reads(purge), processes.cpu_seconds(purge.pid)
    await asyncio.sleep(5)
    return (_reads(purge) - trips) / 5, (processes.cpu_seconds(purge.pid) - cpu) / 5


def _reads(purge: Purge) -> int:
    """How often Valkey has read from a connection: it reads a batch of ours at once."""
    client = admin_of(purge.valkey)
    try:
        return int(client.info("stats")["total_reads_processed"])
    finally:
        client.close()
