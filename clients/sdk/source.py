"""A photo, wherever it is, as chunks of a size that the mesh takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

Photo = bytes | Path | AsyncIterator[bytes]
CHUNK_BYTES = 512 << 10


def known_size(photo: Photo) -> int:
    """Bytes; 0 when only the end will tell. OSError when there is no such file."""
    if isinstance(photo, bytes):
        return len(photo)
    return photo.stat().st_size if isinstance(photo, Path) else 0


async def chunks(photo: Photo, limit: int) -> AsyncIterator[bytes]:
    """The photo's bytes in order, each chunk 1 to ``limit`` bytes. Reads no further than its caller has come."""
    size = min(limit, CHUNK_BYTES)
    if isinstance(photo, Path):
        async for chunk in _file(photo, size):
            yield chunk
        return
    if isinstance(photo, bytes):
        for chunk in _slices(photo, size):
            yield chunk
        return
    async for part in photo:
        for chunk in _slices(part, limit):
            yield chunk


async def _file(path: Path, size: int) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, size):
            yield chunk
    finally:
        file.close()


def _slices(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
