"""What is said over a job's socket: the input's parts down, one answer up. All integers little endian.

Input:  u32 count, u64 size per part, then the parts.
Answer: one byte kind, u64 size, then so many bytes, then the end of the stream.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import Final

Buffer = bytes | bytearray | memoryview

RESULT: Final = b"="
REFUSAL: Final = b"!"
MEMORY: Final = b"m"
ANSWER = struct.Struct("<cQ")
_COUNT, _SIZE = struct.Struct("<I"), struct.Struct("<Q")
_MOST_AT_ONCE = 1024  # IOV_MAX, writev(2)


def input_head(parts: Sequence[Buffer]) -> bytes:
    return _COUNT.pack(len(parts)) + b"".join(_SIZE.pack(memoryview(part).nbytes) for part in parts)


def read_input(fd: int) -> list[memoryview]:
    """Inside: all parts, in one piece of memory. EOFError when the parent went away."""
    (count,) = _COUNT.unpack(_exactly(fd, _COUNT.size))
    sizes = [size for (size,) in _SIZE.iter_unpack(_exactly(fd, count * _SIZE.size))]
    data = memoryview(_exactly(fd, sum(sizes)))
    parts, at = [], 0
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    return parts


def write_answer(fd: int, kind: bytes, parts: Sequence[Buffer]) -> None:
    """Inside: one frame."""
    views = [memoryview(part).cast("B") for part in parts if memoryview(part).nbytes]
    queue = [memoryview(ANSWER.pack(kind, sum(len(view) for view in views))), *views]
    while queue:
        done = os.writev(fd, queue[:_MOST_AT_ONCE])
        while queue and done >= len(queue[0]):
            done -= len(queue.pop(0))
        if done:
            queue[0] = queue[0][done:]


def _exactly(fd: int, size: int) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        done = os.readv(fd, [rest])
        if not done:
            raise EOFError
        rest = rest[done:]
    return data
