"""The headers of a WebP's pixel chunks: VP8 (RFC 6386, 9.1), VP8L (RFC 9649, 3.4) and ALPH (RFC 9649, 2.7.1.2).

Each is written anew with its unused bits cleared; the rest of the chunk is entropy-coded and passes as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.ingest import refusals


@dataclass(frozen=True, slots=True)
class Pixels:
    """width, height: pixels. header: the canonical bytes that replace as many at the start of the chunk."""

    width: int
    height: int
    has_alpha: bool
    header: bytes


VP8_HEADER = 10
VP8L_HEADER = 5


def parse_vp8(header: bytes, size: int) -> Pixels:
    """A key frame's tag and size, of a chunk of ``size`` bytes. The scale bits, which no decoder heeds, are cleared."""
    tag = int.from_bytes(header[:3], "little")
    key, version, shown, partition = not tag & 1, tag >> 1 & 7, tag >> 4 & 1, tag >> 5
    if not key or version > 3 or not shown or header[3:6] != b"\x9d\x01\x2a" or partition > size - VP8_HEADER:
        raise refusals.malformed("its picture header")
    width, height = (int.from_bytes(header[i : i + 2], "little") & 0x3FFF for i in (6, 8))
    return Pixels(width, height, False, header[:6] + width.to_bytes(2, "little") + height.to_bytes(2, "little"))


def parse_vp8l(header: bytes) -> Pixels:
    bits = int.from_bytes(header[1:5], "little")
    if header[0] != 0x2F or bits >> 29:
        raise refusals.malformed("its picture header")
    return Pixels((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1), header)


def parse_alpha(header: int, size: int, width: int, height: int) -> bytes:
    """ALPH's first byte with its reserved bits cleared. Uncompressed alpha must have one byte a pixel."""
    method, preprocessing = header & 3, header >> 4 & 3
    if method > 1 or preprocessing > 1 or (method == 0 and size != 1 + width * height):
        raise refusals.malformed("its transparency")
    return bytes((header & 0x3F,))


def check_volume(kind: bytes, size: int, pixels: int) -> None:
    """Refuse a chunk that is far larger than any coding of its picture; the rest only a decoder could tell.

    VP8: 25 blocks of 16 coefficients per 256 pixels, at most 20 bits each, under 4 bytes a pixel. VP8L: 4 channels
    with prefix codes of at most 15 bits; ALPH: one such channel. Each with room for headers and code tables.
    """
    most = {b"VP8 ": 8, b"VP8L": 8, b"ALPH": 2}[kind] * (pixels + 64 * 1024)
    if size > most:
        raise refusals.malformed("more data than its picture can need")
