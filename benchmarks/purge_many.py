"""A million live leases, and a hundred thousand that expire within one second."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.purge_rig import admin_of, running_valkey
from mesh.testing.valkey import ValkeyServer

ROOT = Path(__file__).parents[1]


@dataclass
class Crowd:
    """``live`` leases. Bytes per lease; grants in seconds, beside them and beside a thousand, interleaved."""

    live: int
    redis_bytes: float = 0.0
    purge_bytes: float = 0.0
    seconds: float = 0.0
    beside_many: list[float] = field(default_factory=list)
    beside_few: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


class Purge:
    """A child process (``purge_child.py``) with a Valkey of its own."""

    def __init__(self, process: asyncio.subprocess.Process, valkey: ValkeyServer) -> None:
        self._process = process
        self._valkey = valkey

    async def ask(self, name: str, **arguments: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, arguments]).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{name}: the child is gone")
        return json.loads(line)

    def redis_bytes(self) -> int:
        client = admin_of(self._valkey)
        try:
            return int(client.info("memory")["used_memory"])
        finally:
            client.close()


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Purge]:
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as folder, running_valkey() as valkey:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.purge_child", valkey.url, folder, env=environment, cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
        )  # fmt: skip
        try:
            yield Purge(process, valkey)
        finally:
            process.kill()
            await process.wait()


async def crowd(live: int, rounds: int) -> Crowd:
    """Grants in turns of 20 beside ``live`` and beside 1,000 leases; then a thousand expire beside ``live``."""
    found = Crowd(live)
    async with running() as many, running() as few:
        await few.ask("seed", count=1000, ttl=590)
        redis, rss = many.redis_bytes(), (await many.ask("rss"))["mib"]
        found.seconds = (await many.ask("seed", count=live, ttl=590))["seconds"]
        found.redis_bytes = (many.redis_bytes() - redis) / live
        await asyncio.sleep(2)  # the log integrates
        found.purge_bytes = ((await many.ask("rss"))["mib"] - rss) * (1 << 20) / live
        for purge in (many, few):
            await purge.ask("grants", count=50)
        for _ in range(rounds):
            found.beside_many += (await many.ask("grants", count=20))["seconds"]
            found.beside_few += (await few.ask("grants", count=20))["seconds"]
        found.lags = (await many.ask("expire", count=1000, lead=3, spread=5))["lags"]
    return found


async def wave(count: int) -> dict[str, Any]:
    """``count`` leases that expire within one second, with grants meanwhile; and grants without them, before."""
    async with running() as purge:
        await purge.ask("grants", count=50)
        calm = (await purge.ask("grants", count=200, pause=0.01))["seconds"]
        found: dict[str, Any] = await purge.ask("expire", count=count, lead=count / 5000 + 5, spread=1.0)
    return {**found, "calm": calm, "total": count}
