"""How many bytes a PNG's rows have, and what that says about the stream that holds them (PNG 3rd edition, 7 and 8)."""

from __future__ import annotations

import struct

from services.ingest.verify.disagreement import require

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
# Adam7 as the specification draws it: which pass each pixel of an 8 × 8 square is in.
_ADAM7 = ("16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777")


class Shape:
    """IHDR. kind is its colour type."""

    def __init__(self, data: bytes) -> None:
        require(len(data) == 13, "the header")
        numbers: tuple[int, ...] = struct.unpack(">II5B", data)
        self.width, self.height, self.depth, self.kind, *rest = numbers
        require(self.width > 0 and self.height > 0, "the header")
        require(self.depth in _DEPTHS.get(self.kind, ()) and rest in ([0, 0, 0], [0, 0, 1]), "the header")
        self._interlaced = rest[2] == 1

    @property
    def indexed(self) -> bool:
        return self.kind == 3

    @property
    def coloured(self) -> bool:
        return self.kind & 2 != 0

    @property
    def has_alpha(self) -> bool:
        return self.kind & 4 != 0

    def row_bytes(self) -> int:
        """Of the whole picture before compression, the filter bytes included."""
        passes = _passes(self.width, self.height) if self._interlaced else [(self.width, self.height)]
        bits = self.depth * _CHANNELS[self.kind]
        return sum(high * (1 + (wide * bits + 7) // 8) for wide, high in passes if wide)

    def check_stream(self, head: bytes, size: int) -> None:
        """A zlib stream (RFC 1950, 2.2) of ``size`` bytes that could hold just these rows: deflate shrinks at most
        1,032-fold, and grows by 5 bytes in 64 KiB unless somebody wants it to."""
        require(len(head) == 2 and int.from_bytes(head) % 31 == 0, "the compressed picture")
        require(head[0] & 15 == 8 and head[0] < 0x80 and head[1] & 0x20 == 0, "the compressed picture")
        rows = self.row_bytes()
        require(rows <= 1032 * size, "a picture that is not all there")
        require(size <= rows * 9 // 8 + 4096, "more data than the picture can need")


def _passes(width: int, height: int) -> list[tuple[int, int]]:
    """Columns and rows of each pass."""
    sizes = []
    for number in "1234567":
        columns = {x for row in _ADAM7 for x, each in enumerate(row) if each == number}
        rows = {y for y, row in enumerate(_ADAM7) if number in row}
        sizes.append((_count(width, columns), _count(height, rows)))
    return sizes


def _count(length: int, places: set[int]) -> int:
    return length // 8 * len(places) + sum(place < length % 8 for place in places)
