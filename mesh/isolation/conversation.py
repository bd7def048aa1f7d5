"""One job's socket, the parent's end: the input goes out, one answer comes in, and its end is the end of the child.

The child holds the other end alone (the template closes its copy), and a process's memory is given back before its
descriptors are closed (do_exit() in the kernel): at the end of the stream no page of the input is left in any child.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence

from mesh.isolation import wire
from mesh.isolation.wire import Buffer

_DISCARD_BYTES = 1 << 18


class Garbled(Exception):
    """The answer isn't one, or is larger than allowed."""


class NoAnswer(Exception):
    """The stream ended first."""


async def converse(line: socket.socket, parts: Sequence[Buffer], most: int) -> tuple[bytes, bytearray]:
    """(kind, answer of at most ``most`` bytes), once the child has closed its end. Raises Garbled, NoAnswer."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):  # whoever died early is known by what it didn't answer
        for part in (wire.input_head(parts), *parts):
            await loop.sock_sendall(line, part)
    head = bytearray(wire.ANSWER.size)
    await _fill(line, head)
    kind, size = wire.ANSWER.unpack(head)
    if kind not in (wire.RESULT, wire.REFUSAL, wire.MEMORY) or size > most:
        raise Garbled
    answer = bytearray(size)
    await _fill(line, answer)
    if await _receive(line, memoryview(bytearray(1))):
        raise Garbled
    return kind, answer


async def until_gone(line: socket.socket) -> None:
    """Reads what is left, to no purpose, until the child has closed its end."""
    nowhere = memoryview(bytearray(_DISCARD_BYTES))
    while await _receive(line, nowhere):
        pass


async def _fill(line: socket.socket, buffer: bytearray) -> None:
    rest = memoryview(buffer)
    while rest:
        done = await _receive(line, rest)
        if not done:
            raise NoAnswer
        rest = rest[done:]


async def _receive(line: socket.socket, into: memoryview) -> int:
    """0 at the end: closed in order, or with input unread."""
    try:
        return await asyncio.get_running_loop().sock_recv_into(line, into)
    except ConnectionError:
        return 0
