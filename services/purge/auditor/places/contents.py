"""Searching what can be read from beginning to end: for the bytes themselves, and for the same written as text."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from services.purge.auditor.hunt.index import Needle
from services.purge.auditor.hunt.words import WINDOW, as_bytes
from services.purge.auditor.places.found import Hunted

_CHUNK = 4 << 20  # bytes
_SAMPLE = 4 << 10  # bytes of a needle's beginning, middle and end that are looked for as text


def search(file: BinaryIO, hunted: Hunted) -> tuple[int, Counter[str]]:
    """Bytes read, and bytes found by needle's name. Raises OSError."""
    size, found = 0, Counter[str]()
    buffer, kept = bytearray(WINDOW + _CHUNK), 0
    while (got := file.readinto(memoryview(buffer)[kept : kept + _CHUNK])) > 0:  # type: ignore[attr-defined]
        size += got
        found += _search(bytes(memoryview(buffer)[: kept + got]), kept, hunted)
        tail = bytes(memoryview(buffer)[max(0, kept + got - WINDOW + 1) : kept + got])
        kept = len(tail)
        buffer[:kept] = tail
    return size, found


def search_bytes(data: bytes, hunted: Hunted) -> Counter[str]:
    return _search(data, 0, hunted)


def _search(data: bytes, seen: int, hunted: Hunted) -> Counter[str]:
    """seen: how many of the first bytes were searched before, less than a window; they are not counted again."""
    found: Counter[str] = Counter()
    for index in (hunted.raw, hunted.written):
        for match in index.search(as_bytes(data)):
            found[match.what] += match.offset + match.length - max(match.offset, seen)
    return found


def written(needles: Sequence[Needle]) -> list[Needle]:
    """Samples of needles as programs print bytes: hexadecimal, base64 at each phase, escaped, as a list of numbers."""
    return [Needle(needle.what, form) for needle in needles for part in _parts(needle.data) for form in _forms(part)]


def _parts(data: bytes) -> Iterator[bytes]:
    if len(data) <= 3 * _SAMPLE:
        yield data
        return
    middle = (len(data) - _SAMPLE) // 2
    yield from (data[:_SAMPLE], data[middle : middle + _SAMPLE], data[-_SAMPLE:])


def _forms(part: bytes) -> Iterator[bytes]:
    digits = part.hex()
    yield digits.encode()
    yield digits.upper().encode()
    for phase in range(3):
        yield base64.b64encode(part[phase : phase + (len(part) - phase) // 3 * 3])
    shown = repr(part)
    yield shown.encode()
    yield json.dumps(shown).encode()
    yield str(list(part)).encode()
