"""The registry's throughput beside the same Lua calls in pipelines straight to Redis."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import hiredis

from benchmarks.purge_rig import Recorder, running_valkey
from services.purge import functions
from services.purge.address import RedisAddress
from services.purge.link import Call, Link
from services.purge.record import Grant
from services.purge.registry import Registry, Report
from services.purge.wire import pack

CALLERS = 64  # at once, each with one photo after the other
CALLS = 6  # of one photo: whose it is, how many, the lease; custody; its end; whose it was
_RECEIPT = b"-1 purge-0\n" + b"r" * 1000
_HOLDERS = [f"{service}/{service}-0/{'0' * 16}" for service in ("gateway", "ingest", "render")]
_DAY = "2026-11-23"


async def measure(turns: int, photos: int) -> list[tuple[float, float]]:
    """Photos a second of each turn: through the registry, and straight."""
    with running_valkey() as valkey:
        async with _registry(valkey.url) as registry:
            wire = Wire(RedisAddress(valkey.url), str(valkey.socket))
            await _through(registry, photos // 4)
            await _straight(wire, photos // 4)
            found = [(await _through(registry, photos), await _straight(wire, photos)) for _ in range(turns)]
            wire.close()
            return found


async def _through(registry: Registry, photos: int) -> float:
    async def caller(count: int) -> None:
        for _ in range(count):
            grant = _grant()
            for step in _STEPS:
                await step(registry, grant)

    began = time.perf_counter()
    await asyncio.gather(*[caller(photos // CALLERS) for _ in range(CALLERS)])
    return photos // CALLERS * CALLERS / (time.perf_counter() - began)


async def _straight(wire: Wire, photos: int) -> float:
    """As many photos in each pipeline as there are callers on the other side; step after step, as they wait there."""
    pipelines = [calls for _ in range(photos // CALLERS) for calls in await _recorded()]
    began = time.perf_counter()
    for calls in pipelines:
        wire.send(calls)
    return photos // CALLERS * CALLERS / (time.perf_counter() - began)


async def _recorded() -> list[list[Call]]:
    """The calls that the registry makes for some photos, by step."""
    recorder, grants = Recorder(), [_grant() for _ in range(CALLERS)]
    registry = Registry(cast(Link, recorder))
    steps = []
    for step in _STEPS:
        for grant in grants:
            await step(registry, grant)
        steps.append(recorder.taken())
    return steps


class Wire:
    """A blocking socket and the fastest packer and parser there are: the client is as little as it can be."""

    def __init__(self, address: RedisAddress, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._reader = hiredis.Reader()
        target = address.target()
        self._exchange([pack("AUTH", target.username or "default", target.password or "")])

    def send(self, calls: Sequence[Call]) -> None:
        prefix = f"{functions.LIBRARY}_"
        self._exchange([pack("FCALL", prefix + name, len(keys), *keys, *args) for name, keys, args in calls])

    def close(self) -> None:
        self._socket.close()

    def _exchange(self, packed: Sequence[bytes]) -> None:
        self._socket.sendall(b"".join(packed))
        left = len(packed)
        while left:
            self._reader.feed(self._socket.recv(1 << 16))
            while (reply := self._reader.gets()) is not False:
                if isinstance(reply, Exception):
                    raise reply
                left -= 1


def _reports(grant: Grant) -> list[Report]:
    return [Report(grant.photo_id, holder, *what) for holder in _HOLDERS for what in (("H", 1, 0), ("R", 2, 1000))]


_STEPS: Sequence[Callable[[Registry, Grant], Awaitable[object]]] = (
    lambda registry, grant: registry.grant(grant, _DAY),
    lambda registry, grant: registry.custody(_reports(grant)),
    lambda registry, grant: registry.end_if_released(grant.photo_id, _RECEIPT),
    lambda registry, grant: registry.disown({grant.owner: [grant.photo_id]}),
)


def _grant() -> Grant:
    now = round(time.time(), 3)
    return Grant(
        secrets.token_hex(16), now, now + 60, secrets.token_hex(16), secrets.token_hex(32), secrets.token_hex(32), "1"
    )


@asynccontextmanager
async def _registry(url: str) -> AsyncIterator[Registry]:
    registry = Registry(Link(RedisAddress(url)))
    await registry.start()
    yield registry
    await registry.link.close()
