"""One server alone: it loses everything, or has no memory left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Self

import pytest
import redis.exceptions

from mesh.testing.redis_server import RedisServer
from tests.chaos import promises
from tests.chaos.crowd import AT_ONCE, TTL, Crowd
from tests.chaos.deployments import ARGUMENTS, overrides, single_url, users
from tests.chaos.ordeal import endure

MEMORY = 24 << 20  # bytes
ROOM = 48 << 10  # bytes that are left for parked pictures


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(users(), [*ARGUMENTS, "--maxmemory", str(MEMORY)]) as started:
        yield started


@pytest.fixture
def mesh(chaos_mesh, server):
    return chaos_mesh(overrides(single_url(server.users, server.port)))


async def test_a_flush_ends_what_it_lost(mesh, server):
    async def flushed() -> None:
        server.flush()

    await endure(mesh, flushed, [server])


async def test_memory_that_others_fill(mesh, server):
    async def filled() -> None:
        with Filling(server) as filling:
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                await asyncio.to_thread(filling.fill)
                await asyncio.sleep(0.02)

    account = await endure(mesh, filled, [server])
    assert account.ends["REGISTRY_FULL"]


async def test_memory_that_parked_pictures_fill_comes_back_when_they_expire(mesh, server):
    async with Crowd(mesh) as crowd:
        with Filling(server) as filling:

            async def parked() -> None:
                await asyncio.to_thread(filling.fill, ROOM)
                while not crowd.tally()["REGISTRY_FULL"]:
                    await crowd.abandon(AT_ONCE)
                await asyncio.sleep(TTL)

            await endure(mesh, parked, [server])
        promises.nobody_has_anothers(crowd)
        await promises.each_has_one_receipt(mesh, crowd)


class Filling:
    """A context manager: keys of somebody else, under a TTL, until its end."""

    def __init__(self, server: RedisServer) -> None:
        self._admin = server.admin()
        self._names: list[str] = []

    def fill(self, leave: int = 0) -> None:
        """Up to the limit, or ``leave`` bytes below it."""
        size = 1 << 20
        while size >= 64:
            # Of a shape that is known: it is not for being a stranger's that they matter.
            name = f"quota:{len(self._names):032x}:2000-01-01"
            if self._admin.info("memory")["used_memory"] + size > MEMORY - leave or not self._set(name, size):
                size //= 2
            else:
                self._names.append(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._admin.delete(*self._names)
        self._admin.close()

    def _set(self, name: str, size: int) -> bool:
        try:
            return bool(self._admin.set(name, bytes(size), px=60_000))
        except redis.exceptions.OutOfMemoryError:
            return False
