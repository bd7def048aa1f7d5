"""One server alone, which loses everything or has no memory left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import redis.exceptions

from mesh.testing.redis_server import RedisServer
from services.purge.acl import arguments
from tests.chaos.crowd import AT_ONCE, TTL, Crowd
from tests.chaos.trouble import Trouble, at, single_url, users

MEMORY = 24 << 20  # bytes
_ROOM = 64 << 10  # bytes that are left for parked pictures
_FULL_SECONDS = 1.5
_ARGUMENTS = [*arguments(valkey=True), "--maxmemory", str(MEMORY)]


@contextmanager
def flushed() -> Iterator[Trouble]:
    """One server: it is flushed, functions included."""
    with RedisServer(users(), _ARGUMENTS) as server:

        async def fault(_: Crowd) -> None:
            server.flush()

        yield Trouble(at(single_url(server)), [server], fault)


@contextmanager
def memory_full_of_others() -> Iterator[Trouble]:
    """One server: somebody else fills its memory and keeps it full, then lets go."""
    with RedisServer(users(), _ARGUMENTS) as server:

        async def fault(_: Crowd) -> None:
            with Filling(server) as filling:
                until = time.monotonic() + _FULL_SECONDS
                while time.monotonic() < until:
                    await asyncio.to_thread(filling.fill)
                    await asyncio.sleep(0.02)

        yield Trouble(at(single_url(server)), [server], fault, expected=["REGISTRY_FULL"])


@contextmanager
def memory_full_of_pictures() -> Iterator[Trouble]:
    """One server: parked pictures that nobody collects fill its memory, until their leases expire."""
    with RedisServer(users(), _ARGUMENTS) as server, Filling(server) as filling:

        async def fault(crowd: Crowd) -> None:
            room = _ROOM
            while not crowd.tally()["REGISTRY_FULL"]:
                await asyncio.to_thread(filling.fill, room)
                await crowd.abandon(AT_ONCE)
                room //= 2  # the first of them must not expire before it is full
            await asyncio.sleep(TTL)
            # What room the pictures had may be too little for new ones: it depends on how slowly they came.
            await asyncio.to_thread(filling.empty)

        yield Trouble(at(single_url(server)), [server], fault, expected=["REGISTRY_FULL"])


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

    def empty(self) -> None:
        if self._names:
            self._admin.delete(*self._names)
        self._names.clear()

    def __exit__(self, *_: object) -> None:
        self.empty()
        self._admin.close()

    def _set(self, name: str, size: int) -> bool:
        try:
            return bool(self._admin.set(name, bytes(size), px=60_000))
        except redis.exceptions.OutOfMemoryError:
            return False
