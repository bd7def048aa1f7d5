"""IHDR, PLTE and tRNS of a PNG: which values draw a picture, in canonical form (PNG 3rd edition, 11.2 and 11.3.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from services.ingest import refusals

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
_SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
# Adam7: first column, first row, column step, row step (section 8.1).
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass(frozen=True, slots=True)
class Header:
    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: bool

    @property
    def has_alpha(self) -> bool:
        return self.colour_type in (GREY_ALPHA, RGB_ALPHA)

    @property
    def raw_bytes(self) -> int:
        """Bytes of the filtered picture, which the IDATs deflate: each row and a byte for its filter (section 7.2)."""
        bits = self.depth * _SAMPLES[self.colour_type]
        passes = _PASSES if self.interlaced else ((0, 0, 1, 1),)
        total = 0
        for column, row, column_step, row_step in passes:
            wide = max(0, -(-(self.width - column) // column_step))
            high = max(0, -(-(self.height - row) // row_step))
            total += high * (1 + -(-wide * bits // 8)) if wide else 0
        return total


def parse_header(data: bytes) -> Header:
    if len(data) != 13:
        raise refusals.malformed("its header's length")
    width, height, depth, colour_type, compression, filtering, interlace = struct.unpack(">IIBBBBB", data)
    if depth not in _DEPTHS.get(colour_type, ()) or compression or filtering or interlace > 1:
        raise refusals.malformed("its header")
    return Header(width, height, depth, colour_type, bool(interlace))


def check_palette(header: Header, data: bytes) -> None:
    if not data or len(data) % 3 or len(data) > 3 << header.depth:
        raise refusals.malformed("its palette")


def canonical_transparency(header: Header, palette: bytes | None, data: bytes) -> bytes | None:
    """tRNS as it is kept; None where the colour type gives it no meaning. Unused bits of a sample are cleared."""
    if header.colour_type == PALETTE:
        if palette is None or not data or len(data) > len(palette) // 3:
            raise refusals.malformed("its transparency")
        return data
    samples = {GREY: 1, RGB: 3}.get(header.colour_type)
    if samples is None:
        return None
    if len(data) != 2 * samples:
        raise refusals.malformed("its transparency")
    mask = (1 << header.depth) - 1
    return struct.pack(f">{samples}H", *(sample & mask for sample in struct.unpack(f">{samples}H", data)))
