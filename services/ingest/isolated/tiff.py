"""TIFF: the first directory, and what else hangs on the file (TIFF 6.0, sections 2 and 8)."""

from __future__ import annotations

import struct

from mesh.isolation.outcome import Refused
from services.ingest.isolated import codes
from services.ingest.isolated.survey import Survey
from services.ingest.report import Removed

_MOST_ENTRIES = 1_000
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
# None, LZW, JPEG, deflate (two numbers), PackBits. Fax, old-style JPEG and what vendors added stay out.
_COMPRESSIONS = frozenset({1, 5, 7, 8, 32946, 32773})
_CAMERA = frozenset({32803, 34892})  # colour filter array, linear raw: the photometrics of DNG and its kin
_DNG_VERSION = 0xC612
# Where the pixels are and what they mean.
_PICTURE = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 296, 317, 320, 322, 323, 324, 325}
    | {332, 334, 338, 339, 347, 529, 530, 531, 532}
)
_KINDS = {
    0x8769: Removed.EXIF,
    0x8825: Removed.GPS,
    700: Removed.XMP,
    33723: Removed.IPTC,
    34377: Removed.IPTC,
    34675: Removed.ICC,
    **dict.fromkeys((269, 270, 271, 272, 285, 305, 306, 315, 316, 33432), Removed.TEXT),
}


def survey(data: memoryview) -> Survey:
    found = Survey()
    order = "<" if bytes(data[:2]) == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    entries, after = _directory(data, order, start)
    values = {tag: _first(kind, raw, order) for tag, kind, _, raw in entries}
    if values.get(262) in _CAMERA or _DNG_VERSION in values or values.get(254, 0) & 1:
        raise Refused(codes.RAW)
    if values.get(259, 1) not in _COMPRESSIONS:
        raise Refused(codes.CODING)
    found.sizes.append((values.get(256, 0), values.get(257, 0)))
    for tag, kind, count, _ in entries:
        if tag not in _PICTURE:
            found.remove(_KINDS.get(tag, Removed.UNKNOWN_SEGMENT), 12 + count * _BYTES.get(kind, 1))
    found.exif(bytes(data))  # a directory may stand at the end
    if after:
        found.remove(Removed.ANIMATION, len(data) - after if after < len(data) else 0)
    found.removed = {kind: min(size, len(data)) for kind, size in found.removed.items()}
    return found


def _directory(data: memoryview, order: str, at: int) -> tuple[list[tuple[int, int, int, bytes]], int]:
    """(tag, type, count, the value field), and where the next directory is."""
    if at + 2 > len(data):
        raise Refused(codes.TRUNCATED)
    (count,) = struct.unpack_from(order + "H", data, at)
    if count > _MOST_ENTRIES:
        raise Refused(codes.SEGMENTS)
    end = at + 2 + 12 * count
    if end + 4 > len(data):
        raise Refused(codes.TRUNCATED)
    entries = list(struct.iter_unpack(order + "HHI4s", data[at + 2 : end]))
    (after,) = struct.unpack_from(order + "I", data, end)
    return entries, after


def _first(kind: int, raw: bytes, order: str) -> int:
    """The value field as a number; where it is an offset, nobody asks."""
    if kind == 3:
        return int(struct.unpack(order + "H", raw[:2])[0])
    return int(struct.unpack(order + "I", raw)[0])
