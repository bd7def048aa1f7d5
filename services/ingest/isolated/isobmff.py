"""HEIC and AVIF: boxes, items and properties (ISO/IEC 14496-12; ISO/IEC 23008-12, sections 6 and 9)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from mesh.isolation.outcome import Refused
from services.ingest.isolated import codes
from services.ingest.isolated.survey import Survey
from services.ingest.report import Removed

_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_MOST_ITEMS = 20_000  # a 100-megapixel picture in tiles of 512 has 400
_IMAGES = frozenset({b"hvc1", b"av01", b"grid", b"iden", b"iovl", b"jpeg", b"unci", b"tmap"})


@dataclass(slots=True)
class _Items:
    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    properties: list[tuple[bytes, memoryview]] = field(default_factory=list)
    owned: dict[int, list[int]] = field(default_factory=dict)  # item to its properties, counted from 1
    thumbnails: set[int] = field(default_factory=set)
    parts: set[int] = field(default_factory=set)  # of which the primary picture is put together


def survey(data: memoryview) -> Survey:
    found = Survey()
    for kind, body in boxes(data):
        if kind == b"meta":
            _meta(body[4:], data, found)
        elif kind == b"moov":
            found.remove(Removed.ANIMATION, len(body) + 8)
        elif kind in (b"free", b"skip", b"wide"):
            found.remove(Removed.PADDING, len(body) + 8)
        elif kind == b"uuid":
            c2pa = bytes(body[:16]) == _C2PA
            found.remove(Removed.C2PA if c2pa else Removed.UNKNOWN_SEGMENT, len(body) + 8)
        elif kind not in (b"ftyp", b"mdat"):
            found.remove(Removed.UNKNOWN_SEGMENT, len(body) + 8)
    return found


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """(type, content) of each box. Refused(truncated) when one is longer than what holds it."""
    at = 0
    for _ in range(_MOST_ITEMS):
        if at == len(data):
            return
        if at + 8 > len(data):
            raise Refused(codes.TRUNCATED)
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = len(data) if size == 0 else at + size
        if not start <= end <= len(data):
            raise Refused(codes.TRUNCATED)
        yield kind, data[start:end]
        at = end
    raise Refused(codes.SEGMENTS)


def _meta(body: memoryview, data: memoryview, found: Survey) -> None:
    items = _Items()
    idat = 0
    for kind, content in boxes(body):
        if kind == b"pitm":
            items.primary = _number(content, 4, 4 if content[0] else 2)
        elif kind == b"iinf":
            _item_kinds(content, items)
        elif kind == b"iloc":
            _locations(content, items)
        elif kind == b"iref":
            _references(content, items)
        elif kind == b"iprp":
            _properties(content, items)
        elif kind == b"idat":
            idat = len(content)
    _sizes(items, found)
    for item, item_kind in items.kinds.items():
        _count(item, item_kind, items, data, found)
    if not items.kinds and idat:
        found.remove(Removed.UNKNOWN_SEGMENT, idat)


def _sizes(items: _Items, found: Survey) -> None:
    """Of the primary item first: its own ``ispe`` (6.5.3), then every other one in the file."""
    own = [items.properties[index - 1] for index in items.owned.get(items.primary, ()) if index]
    ordered = [*own, *items.properties]
    found.sizes += [struct.unpack_from(">II", content, 4) for kind, content in ordered if kind == b"ispe"]
    for kind, content in own:
        if kind == b"colr" and bytes(content[:4]) == b"nclx":
            found.primaries = _number(content, 4, 2)
    for kind, content in items.properties:
        if kind == b"colr" and bytes(content[:4]) in (b"prof", b"rICC"):
            found.remove(Removed.ICC, len(content) + 8)


def _count(item: int, kind: bytes, items: _Items, data: memoryview, found: Survey) -> None:
    extents = items.extents.get(item, [])
    size = sum(length for _, length in extents)
    if kind == b"Exif":
        found.remove(Removed.EXIF, size)
        start, length = extents[0] if extents else (0, 0)
        block = bytes(data[start : start + length])
        # ISO/IEC 23008-12, A.2.1: four bytes say where the TIFF header is.
        found.exif(block[4 + int.from_bytes(block[:4], "big") :])
    elif kind == b"mime":
        found.remove(Removed.XMP, size)
    elif kind not in _IMAGES:
        found.remove(Removed.UNKNOWN_SEGMENT, size)
    elif item in items.thumbnails:
        found.remove(Removed.THUMBNAIL, size)
    elif item != items.primary and item not in items.parts:
        found.remove(Removed.UNKNOWN_SEGMENT, size)  # gain maps, depth, further pictures


def _item_kinds(content: memoryview, items: _Items) -> None:
    for kind, entry in boxes(content[6 if content[0] == 0 else 8 :]):
        if kind == b"infe" and entry[0] >= 2:
            wide = entry[0] >= 3
            item = _number(entry, 4, 4 if wide else 2)
            items.kinds[item] = bytes(entry[10:14] if wide else entry[8:12])


def _locations(content: memoryview, items: _Items) -> None:
    """ItemLocationBox (ISO/IEC 14496-12, 8.11.3); extents in ``idat`` are counted, not looked into."""
    version = content[0]
    offset_size, length_size = content[4] >> 4, content[4] & 15
    base_size, index_size = content[5] >> 4, content[5] & 15 if version else 0
    wide = 4 if version == 2 else 2
    count, at = _number(content, 6, wide), 6 + wide
    if count > _MOST_ITEMS:
        raise Refused(codes.SEGMENTS)
    extents = 0
    for _ in range(count):
        item = _number(content, at, wide)
        at += wide
        method = _number(content, at, 2) & 15 if version else 0
        at += (2 if version else 0) + 2
        base = _number(content, at, base_size)
        number = _number(content, at + base_size, 2)
        at += base_size + 2
        extents += number
        if extents > _MOST_ITEMS:
            raise Refused(codes.SEGMENTS)
        places = items.extents.setdefault(item, [])
        for _ in range(number):
            at += index_size
            start = base + _number(content, at, offset_size)
            length = _number(content, at + offset_size, length_size)
            at += offset_size + length_size
            places.append((start if method == 0 else 0, length))


def _references(content: memoryview, items: _Items) -> None:
    wide = 4 if content[0] else 2
    for kind, body in boxes(content[4:]):
        origin, number = _number(body, 0, wide), _number(body, wide, 2)
        if number * wide > len(body):
            raise Refused(codes.MALFORMED)
        if kind == b"thmb":
            items.thumbnails.add(origin)
        elif kind == b"dimg" and origin == items.primary:
            items.parts |= {_number(body, wide + 2 + wide * index, wide) for index in range(number)}


def _properties(content: memoryview, items: _Items) -> None:
    for kind, body in boxes(content):
        if kind == b"ipco":
            items.properties += list(boxes(body))
        elif kind == b"ipma":
            _associations(body, items)


def _associations(content: memoryview, items: _Items) -> None:
    """ItemPropertyAssociationBox (ISO/IEC 23008-12, 9.3.1)."""
    wide, long = 4 if content[0] else 2, content[3] & 1
    at = 8
    for _ in range(_number(content, 4, 4)):
        item, number = _number(content, at, wide), content[at + wide]
        at += wide + 1
        step = 2 if long else 1
        mask = 0x7FFF if long else 0x7F
        owned = [_number(content, at + step * index, step) & mask for index in range(number)]
        if any(index > len(items.properties) for index in owned):
            raise Refused(codes.MALFORMED)
        items.owned[item] = owned
        at += step * number


def _number(content: memoryview, at: int, size: int) -> int:
    if at + size > len(content):
        raise Refused(codes.MALFORMED)
    return int.from_bytes(content[at : at + size], "big")
