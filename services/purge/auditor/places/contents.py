"""Searching what can be read from beginning to end: for the bytes themselves, and for the same written down as text."""

from __future__ import annotations

import os
import threading
from collections import Counter
from io import FileIO

from services.purge.auditor.hunt.index import NeedleIndex
from services.purge.auditor.hunt.words import as_bytes
from services.purge.auditor.places.found import Hunted
from services.purge.auditor.places.written import read_back

_CHUNK = 4 << 20  # bytes
_OVERLAP = 1 << 10  # bytes: enough for a window however it is written


class _Buffer(threading.local):
    """What files are read into, one for each thread, since a file may be a core, or a spool that was deleted."""

    def __init__(self) -> None:
        self.data = memoryview(bytearray(_OVERLAP + _CHUNK))


_buffer = _Buffer()


def search(file: FileIO, hunted: Hunted) -> tuple[int, Counter[str]]:
    """Bytes read, and bytes found by needle's name; of a file that grows, what there was at first. Raises OSError.

    file: without a buffer of its own, ``buffering=0``.
    """
    left = os.fstat(file.fileno()).st_size - file.tell()
    size, found, seen, used, buffer = 0, Counter[str](), 0, 0, _buffer.data
    try:
        while (left > size) and (read := file.readinto(buffer[seen : seen + min(_CHUNK, left - size)])):
            size += read
            end = seen + read
            used = max(used, end)
            found += _search(buffer[:end], seen, hunted.index)
            seen = min(end, _OVERLAP)
            buffer[:seen] = buffer[end - seen : end]
    finally:
        buffer[:used] = bytes(used)
    return size, found


def search_bytes(data: bytes, hunted: Hunted) -> Counter[str]:
    return _search(memoryview(data), 0, hunted.index)


def _search(data: memoryview, seen: int, index: NeedleIndex) -> Counter[str]:
    """seen: how many of the first bytes were searched before; what ends within them is not counted again."""
    found: Counter[str] = Counter()
    for match in index.search(as_bytes(data)):
        if match.offset + match.length > seen:
            found[match.what] += match.offset + match.length - max(match.offset, seen)
    for text in read_back(data):
        for match in index.search(as_bytes(text)):
            found[match.what] += match.length
    return found
