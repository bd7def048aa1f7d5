"""One conversation with one server: packed commands out, as many replies back, over a connection that nobody shares.

The client's own pipelines would do, at several times the CPU for each command.
"""

from __future__ import annotations

import asyncio
import math
import os
import ssl
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import hiredis
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.sentinel import SentinelManagedConnection
from redis.exceptions import ClusterDownError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import ConnectionError as Disconnected

TIMEOUT = 1.0  # seconds to connect, to be answered, and to get a connection
_STRIDE = 64  # replies to wait for under one timeout
Word = str | int | bytes
DEMOTED = (ReadOnlyError, ClusterDownError)
"""A server that answers so is not what it was when the connection was made: ask anew where to connect."""


def pack(*words: Word) -> bytes:
    """A command as RESP."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub means one word
    return packed


async def converse(connection: Any, packed: Sequence[bytes]) -> list[Any]:
    """One reply for each command, in their order; an error reply as the exception itself.

    When the connection fails on the way, whatever is missing is that failure: it may have been carried out or not.
    Never cancelled from outside; its own timeout drops the connection.
    """
    replies: list[Any] = []
    try:
        await _send(connection, packed)
        while len(replies) < len(packed):
            async with asyncio.timeout(TIMEOUT):
                for _ in range(min(_STRIDE, len(packed) - len(replies))):
                    replies.append(await _reply(connection))
    except (RedisError, OSError, TimeoutError) as error:
        await connection.disconnect(nowait=True)
        failure = error if isinstance(error, Disconnected) else Disconnected(type(error).__name__)
        replies += [failure] * (len(packed) - len(replies))
    if any(isinstance(reply, DEMOTED) for reply in replies):
        await connection.disconnect(nowait=True)
    return replies


async def _send(connection: Any, packed: Sequence[bytes]) -> None:
    """Under a timeout that costs no task: the client's own makes one for each write."""
    usual, connection.socket_timeout = connection.socket_timeout, None
    try:
        async with asyncio.timeout(TIMEOUT):
            await connection.send_packed_command(packed, check_health=False)
    finally:
        connection.socket_timeout = usual


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True, timeout=math.inf)
    except ResponseError as error:
        return error


class _Fresh:
    """Reads its certificate files again for each new connection, so that they may rotate under a running purge."""

    async def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        files: Any = self.ssl_context  # type: ignore[attr-defined]
        try:
            stamp = tuple(_stamp(path) for path in (files.ca_certs, files.certfile, files.keyfile))
            files.context = _context(files.ca_certs, files.certfile, files.keyfile, stamp)
        except OSError as error:  # ssl.SSLError is one
            raise Disconnected(f"TLS files: {type(error).__name__}") from None
        await super().connect_check_health(*args, **kwargs)  # type: ignore[misc]


class FreshTls(_Fresh, SSLConnection):
    """TLS to a server at a known address."""


class FreshSentinelTls(_Fresh, SentinelManagedConnection, SSLConnection):
    """TLS to whichever server Sentinel names."""


def _stamp(path: str | None) -> tuple[int, int, int]:
    if path is None:
        return (0, 0, 0)
    found = os.stat(path)  # noqa: PTH116 - a string is what the client keeps
    return found.st_ino, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=8)
def _context(ca: str | None, cert: str | None, key: str | None, _: object) -> ssl.SSLContext:
    """TLS ≥ 1.2; trusts the CA bundle that was given and nothing else, or the system's if none was."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        context.load_verify_locations(ca)
    else:
        context.load_default_certs()
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context


PLAIN, SENTINEL_PLAIN = Connection, SentinelManagedConnection
