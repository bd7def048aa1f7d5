"""Searching what can be read from beginning to end: for the bytes themselves, and for the same written down as text."""

from __future__ import annotations

import os
from collections import Counter
from typing import BinaryIO

from services.purge.auditor.hunt.index import NeedleIndex
from services.purge.auditor.hunt.words import as_bytes
from services.purge.auditor.places.found import Hunted
from services.purge.auditor.places.written import read_back

_CHUNK = 4 << 20  # bytes
_OVERLAP = 1 << 10  # bytes: enough for a window however it is written


def search(file: BinaryIO, hunted: Hunted) -> tuple[int, Counter[str]]:
    """Bytes read, and bytes found by needle's name; of a file that grows, what there was at first. Raises OSError."""
    left = os.fstat(file.fileno()).st_size - file.tell()
    size, found, tail = 0, Counter[str](), b""
    while (left > size) and (piece := file.read(min(_CHUNK, left - size))):
        size += len(piece)
        data = tail + piece
        found += _search(data, len(tail), hunted.index)
        tail = data[-_OVERLAP:]
    return size, found


def search_bytes(data: bytes, hunted: Hunted) -> Counter[str]:
    return _search(data, 0, hunted.index)


def _search(data: bytes, seen: int, index: NeedleIndex) -> Counter[str]:
    """seen: how many of the first bytes were searched before; what ends within them is not counted again."""
    found: Counter[str] = Counter()
    for match in index.search(as_bytes(data)):
        if match.offset + match.length > seen:
            found[match.what] += match.offset + match.length - max(match.offset, seen)
    for text in read_back(data):
        for match in index.search(as_bytes(text)):
            found[match.what] += match.length
    return found
