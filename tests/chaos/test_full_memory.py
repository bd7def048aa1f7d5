"""One server alone: it loses everything, or has no memory left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import redis.exceptions

from mesh.testing.redis_server import RedisServer
from tests.chaos import promises
from tests.chaos.crowd import TTL, Crowd
from tests.chaos.deployments import ARGUMENTS, overrides, single_url, users
from tests.chaos.ordeal import endure

MEMORY = 24 << 20  # bytes
ROOM = 256 << 10  # bytes that are left for parked pictures


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
        with filling(server):
            await asyncio.sleep(2)

    account = await endure(mesh, filled, [server])
    assert account.ends["REGISTRY_FULL"]


async def test_memory_that_parked_pictures_fill_comes_back_when_they_expire(mesh, server):
    with filling(server, leave=ROOM):
        async with Crowd(mesh) as crowd:

            async def parked() -> None:
                while all(trip.end == "abandoned" for trip in await crowd.abandon(16)):
                    pass
                await asyncio.sleep(TTL)

            await endure(mesh, parked, [server])
            assert crowd.tally()["REGISTRY_FULL"]
            promises.nobody_has_anothers(crowd)
            await promises.each_has_one_receipt(mesh, crowd)


@contextlib.contextmanager
def filling(server: RedisServer, leave: int = 0) -> Iterator[None]:
    """Keys of somebody else, under a TTL; for the duration of the block. leave: bytes that stay free."""
    with server.admin() as admin:
        names = list(_fill(admin, leave))
        yield
        admin.delete(*names)


def _fill(admin: Any, leave: int) -> Iterator[str]:
    size, number = 1 << 20, 0
    while size >= 64:
        name = f"quota:{number:032x}:2000-01-01"  # of a shape that is known: not their strangeness is to be refused
        try:
            if admin.info("memory")["used_memory"] + size > MEMORY - leave:
                raise redis.exceptions.OutOfMemoryError
            admin.set(name, bytes(size), px=60_000)
        except redis.exceptions.OutOfMemoryError:
            size //= 2
        else:
            number += 1
            yield name
