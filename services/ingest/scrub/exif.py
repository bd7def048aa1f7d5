"""The little that we must know about EXIF: which way is up, and which private parts there were.

A TIFF reader (TIFF 6.0, section 2; EXIF 3.0, section 4.6) of exactly four directories, none of them followed twice,
each bounded by the buffer. Whatever is wrong with the block, the answer is "nothing": hostile EXIF must not cost a
family its photo, and the block is removed in any case.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_ORIENTATION = 0x0112
_THUMBNAIL_BYTES = 0x0202  # JPEGInterchangeFormatLength, of the directory after the first
_EXIF_DIRECTORY = 0x8769
_GPS_DIRECTORY = 0x8825
_MAKER_NOTE = 0x927C

_MAX_ENTRIES = 512  # cameras write about 60
_SHORT, _LONG = 3, 4
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}


@dataclass(frozen=True, slots=True)
class Exif:
    """orientation: 1 to 8, or None when not stated. The rest: bytes of the parts, 0 when absent."""

    orientation: int | None = None
    gps: int = 0
    maker_note: int = 0
    thumbnail: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    tag: int
    kind: int
    count: int
    value: int  # the 4-byte field as an unsigned number

    @property
    def size(self) -> int:
        return self.count * _TYPE_BYTES.get(self.kind, 1)


def parse(block: bytes) -> Exif:
    """Read a TIFF block (without JPEG's ``Exif\\0\\0``), which may be only the beginning of it."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(block[:4])
    if order is None:
        return Exif()
    first = _directory(block, order, _offset(block, order, 4))
    private = _directory(block, order, _pointer(first, _EXIF_DIRECTORY))
    second = _directory(block, order, _next(block, order, _offset(block, order, 4)))
    return Exif(
        orientation=_upright(first, order),
        gps=min(len(block), _weight(block, order, _pointer(first, _GPS_DIRECTORY))),
        maker_note=min(len(block), sum(entry.size for entry in private if entry.tag == _MAKER_NOTE)),
        thumbnail=min(len(block), _pointer(second, _THUMBNAIL_BYTES)),
    )


def _offset(block: bytes, order: str, at: int) -> int:
    return int(struct.unpack_from(order + "I", block, at)[0]) if 0 <= at <= len(block) - 4 else 0


def _directory(block: bytes, order: str, at: int) -> list[_Entry]:
    return list(_entries(block, order, at)) if at else []


def _entries(block: bytes, order: str, at: int) -> Iterator[_Entry]:
    if at > len(block) - 2:
        return
    (count,) = struct.unpack_from(order + "H", block, at)
    whole = min(count, _MAX_ENTRIES, (len(block) - at - 2) // 12)
    yield from (_Entry(*fields) for fields in struct.iter_unpack(order + "HHII", block[at + 2 : at + 2 + 12 * whole]))


def _next(block: bytes, order: str, at: int) -> int:
    if not 0 < at <= len(block) - 2:
        return 0
    (count,) = struct.unpack_from(order + "H", block, at)
    return _offset(block, order, at + 2 + 12 * count)


def _pointer(entries: list[_Entry], tag: int) -> int:
    return next((entry.value for entry in entries if entry.tag == tag and entry.kind == _LONG), 0)


def _upright(entries: list[_Entry], order: str) -> int | None:
    """A SHORT sits at the start of the value field: the upper half of the number in a big-endian block."""
    for entry in entries:
        if entry.tag == _ORIENTATION and entry.count == 1:
            value = entry.value
            if entry.kind == _SHORT:
                value = value >> 16 if order == ">" else value & 0xFFFF
            if entry.kind in (_SHORT, _LONG) and 1 <= value <= 8:
                return value
    return None


def _weight(block: bytes, order: str, at: int) -> int:
    """Bytes of a directory and of the values that lie outside it."""
    entries = _directory(block, order, at)
    return sum(12 + (entry.size if entry.size > 4 else 0) for entry in entries) + (6 if entries else 0)
