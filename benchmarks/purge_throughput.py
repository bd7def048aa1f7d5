"""The registry's throughput beside the same Lua calls in pipelines straight to Redis."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import hiredis

from benchmarks.purge_rig import running_valkey
from services.purge import functions, keys
from services.purge.address import RedisAddress
from services.purge.link import Link
from services.purge.record import Grant
from services.purge.registry import Registry, Report

CALLERS = 64  # at once, each with one photo after the other
CALLS = 6  # of one photo: whose it is, how many, the lease; custody; its end; whose it was
Command = tuple[Any, ...]
"""A function's name, the number of its keys, its keys and arguments."""
_RECEIPT = b"-1 purge-0\n" + b"r" * 1000
_HOLDERS = [f"{service}/{service}-0/{'0' * 16}" for service in ("gateway", "ingest", "render")]
_DAY = "2026-11-23"


async def measure(turns: int, photos: int) -> list[tuple[float, float]]:
    """Photos a second of each turn: through the registry, and straight."""
    with running_valkey() as valkey:
        async with _registry(valkey.url) as registry:
            wire = Wire(RedisAddress(valkey.url), str(valkey.socket))
            await _through(registry, photos // 4)
            _straight(wire, photos // 4)
            found = [(await _through(registry, photos), _straight(wire, photos)) for _ in range(turns)]
            wire.close()
            return found


async def _through(registry: Registry, photos: int) -> float:
    async def caller(count: int) -> None:
        for _ in range(count):
            grant = _grant()
            await registry.grant(grant, _DAY)
            await registry.custody(_reports(grant))
            await registry.end_if_released(grant.photo_id, _RECEIPT)
            await registry.disown({grant.owner: [grant.photo_id]})

    began = time.perf_counter()
    await asyncio.gather(*[caller(photos // CALLERS) for _ in range(CALLERS)])
    return photos // CALLERS * CALLERS / (time.perf_counter() - began)


def _straight(wire: Wire, photos: int) -> float:
    """As many photos in each pipeline as there are callers on the other side; step after step, as they wait there."""
    began = time.perf_counter()
    for _ in range(photos // CALLERS):
        grants = [_grant() for _ in range(CALLERS)]
        commands: list[Command] = []
        for g in grants:
            k, now = keys.of_photo(g.photo_id), round(g.granted * 1000)
            commands.append(("own", 1, keys.owner(g.owner), g.photo_id, now + 60000, now, 61500))
            commands.append(("count", 1, keys.quota(g.owner, _DAY), 172800000))
            commands.append(
                ("grant", 2, k.lease, k.due, g.photo_id, now + 60000, 61500, now, g.owner, g.verifier,
                 g.nonce_commitment, g.policy_version, "purge-0")
            )  # fmt: skip
        wire.send(commands)
        words = [word for r in _reports(grants[0]) for word in (r.change, r.holder, r.ordinal, r.micros)]
        wire.send([("custody", 1, keys.of_photo(g.photo_id).lease, "purge-0", *words) for g in grants])
        wire.send(
            [
                ("end_if_released", 4, *keys.of_photo(g.photo_id), g.photo_id, "purge-0", _RECEIPT, 3600000)
                for g in grants
            ]
        )
        wire.send([("disown", 1, keys.owner(g.owner), g.photo_id) for g in grants])
    return photos // CALLERS * CALLERS / (time.perf_counter() - began)


class Wire:
    """A blocking socket and the fastest packer and parser there are: the client is as little as it can be."""

    def __init__(self, address: RedisAddress, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._reader = hiredis.Reader()
        target = address.target()
        self._exchange([hiredis.pack_command(("AUTH", target.username, target.password))])  # type: ignore[arg-type]

    def send(self, commands: Sequence[Command]) -> None:
        prefix = f"{functions.LIBRARY}_"
        packed = [hiredis.pack_command(("FCALL", prefix + name, *words)) for name, *words in commands]  # type: ignore[arg-type]
        self._exchange(packed)

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
