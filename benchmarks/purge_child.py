"""Purge without its servers, in a process of its own, told by lines of JSON what to measure. See purge_many.py.

python -m benchmarks.purge_child REDIS_URL FOLDER
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from benchmarks import processes
from benchmarks.purge_rig import Recorder
from mesh import log
from mesh.clock import SystemClock
from mesh.testing.wait import eventually
from mesh.transparency.note import Signer
from services.purge.address import RedisAddress
from services.purge.book import Entry
from services.purge.core import Core
from services.purge.grants import Terms, Wish
from services.purge.link import Link
from services.purge.log import Log
from services.purge.metrics import PurgeMetrics
from services.purge.receipt import Grant as Leaf
from services.purge.record import Grant
from services.purge.registry import Registry, Reply
from services.purge.tally import Granted

_CHUNK = 1000  # leases in one round trip
_ORIGIN = "benchmark.local/log"


class Child:
    def __init__(self, url: str, folder: Path) -> None:
        key = Ed25519PrivateKey.generate()
        clock = SystemClock()
        receipts = Log.open(folder / "log", origin=_ORIGIN, signer=Signer(_ORIGIN, key), clock=clock)
        self.core = Core(
            redis=RedisAddress(url), log=receipts, key=key, terms=Terms(usual=300, ceiling=600, daily_quota=1 << 30),
            parked_limit=1 << 20, clock=clock, metrics=PurgeMetrics(CollectorRegistry()),
        )  # fmt: skip
        self._recorder = Recorder()
        self._same = Registry(cast(Link, self._recorder), self.core.registry.home)
        self.lags: list[float] = []  # from a lease's expiry until its keys are gone
        self.cleared: list[tuple[float, float, int]] = []  # when, CPU seconds by then, how many
        self._watch()

    def _watch(self) -> None:
        registry, book = self.core.registry, self.core.book
        original = registry.end_all_if_released

        async def measured(photo_ids: Any) -> list[Reply]:
            due = [entry.deadline for p in photo_ids if isinstance(entry := book.get(p), Entry)]
            replies = await original(photo_ids)
            now = time.monotonic()
            self.cleared.append((now, time.process_time(), sum(reply is Reply.OK for reply in replies)))
            self.lags += [now - deadline for deadline in due]
            return replies

        registry.end_all_if_released = measured  # type: ignore[method-assign]

    async def seed(self, count: int, ttl: float, spread: float = 0.0) -> dict[str, float]:
        """Leases in the log, in Redis and in the Book, as grants make them; expiring evenly over ``spread`` seconds."""
        began, base = time.monotonic(), time.time()
        for at in range(0, count, _CHUNK):
            numbers = range(at, min(at + _CHUNK, count))
            await self._write([_grant(base + ttl - 0.001 + spread * n / count) for n in numbers])
        return {"seconds": time.monotonic() - began}

    async def _write(self, grants: list[Grant]) -> None:
        leaves = [Leaf(g.photo_id, round(g.expire)) for g in grants]
        facts = [Granted(leaf.photo_id, leaf.expire_time) for leaf in leaves]
        await self.core.ledger.log.append_many([leaf.to_entry() for leaf in leaves], facts)
        for grant in grants:
            await self._same.grant(grant, "2026-11-23")
        await self.core.link.call_all([call for call in self._recorder.taken() if call[0] != "count"])
        for g in grants:
            self.core.book.open(g.photo_id, g.expire, g)

    async def grants(self, count: int, pause: float = 0.0) -> dict[str, list[float]]:
        """Seconds of so many grants, one after the other."""
        seconds = []
        for _ in range(count):
            began = time.perf_counter()
            await self.core.grants.grant(Wish(os.urandom(32), os.urandom(32), os.urandom(32), "2026-11", 600))
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(pause)
        return {"seconds": seconds}

    async def expire(self, count: int, lead: float, spread: float) -> dict[str, Any]:
        """Seeds leases that expire over ``spread`` seconds, ``lead`` from now, and watches them go."""
        live = len(self.core.book)
        await self.seed(count, lead, spread)
        self.lags.clear()
        self.cleared.clear()
        due = min(entry.deadline for entry in self.core.book)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        latencies: list[float] = []
        cpu = time.process_time()
        granting = asyncio.create_task(self._grant_on(latencies))
        await eventually(lambda: len(self.core.book) - len(latencies) <= live, within=100, every=0.02)
        receipts = time.monotonic() - due
        granting.cancel()
        return {
            "cleared": self.cleared[-1][0] - due, "count": sum(n for *_, n in self.cleared), "receipts": receipts,
            "cleared_cpu": self.cleared[-1][1] - cpu, "receipts_cpu": time.process_time() - cpu,
            "lags": self.lags[:: max(1, len(self.lags) // 5000)], "grants": latencies,
        }  # fmt: skip

    async def _grant_on(self, latencies: list[float]) -> None:
        while True:
            latencies += (await self.grants(1))["seconds"]
            await asyncio.sleep(0.01)

    async def rss(self) -> dict[str, float]:
        return {"mib": processes.resident(os.getpid()), "live": len(self.core.book)}


def _grant(expire: float) -> Grant:
    return Grant(
        secrets.token_hex(16), round(time.time(), 3), round(expire, 3), secrets.token_hex(16), secrets.token_hex(32),
        secrets.token_hex(32), "2026-11",
    )  # fmt: skip


async def main(url: str, folder: Path) -> None:
    log.configure("purge", "benchmark")  # not to where the answers go
    child = Child(url, folder)
    await child.core.start()
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        name, arguments = json.loads(line)
        print(json.dumps(await getattr(child, name)(**arguments)), flush=True)
    os._exit(0)  # nothing here is worth an orderly end of a million leases


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
