"""Decoding tables of a JPEG, sent on only when a scan reads them.

Tables are collected as they come and written just before the first scan that needs them: so an unused or
overwritten table, which could carry anything, never leaves, and the output is the same however the input was cut into
segments. Bounded: at most 4 quantization tables, 8 Huffman tables and 8 conditioning bytes exist.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.ingest import refusals
from services.ingest.scrub.jpeg_markers import DAC, DHT, DQT, DRI, segment

MAX_PAYLOAD = 8 * 1024
"""Bytes of one table segment: three times what all tables together need."""

MAX_TABLES = 1_024
"""Tables of one file: 64 scans with four tables of their own, four times over."""

Key = tuple[int, int]  # marker, and the id that the table itself starts with


class Tables:
    def __init__(self) -> None:
        self._current: dict[Key, bytes] = {}
        self._count = 0
        # What a decoder assumes before it is told: no restarts; T.81, F.1.4.4.1.4 and F.1.4.4.2 for DAC.
        self._sent: dict[Key, bytes] = {(DRI, 0): b"\0\0"}
        self._sent |= {(DAC, table): bytes((table, 0x10)) for table in range(4)}
        self._sent |= {(DAC, 0x10 | table): bytes((0x10 | table, 5)) for table in range(4)}

    @property
    def restarts(self) -> bool:
        return self._current.get((DRI, 0), b"\0\0") != b"\0\0"

    def read(self, marker: int, payload: bytes) -> None:
        """Take a DQT, DHT, DAC or DRI segment in. Raises MALFORMED_PHOTO."""
        if marker == DRI:
            if len(payload) != 2:
                raise refusals.malformed("its restart interval")
            self._current[DRI, 0] = payload
            return
        parse = {DQT: _quantization, DHT: _huffman, DAC: _conditioning}[marker]
        while payload:
            self._count += 1
            if self._count > MAX_TABLES:
                raise refusals.malformed("too many tables")
            size = parse(payload)
            self._current[marker, payload[0] & (0x0F if marker == DQT else 0xFF)] = payload[:size]
            payload = payload[size:]

    def known(self, marker: int, ids: Iterable[int]) -> list[int]:
        return [table for table in sorted(set(ids)) if (marker, table) in self._current]

    def news(self, marker: int, ids: Iterable[int], *, optional: bool = False) -> bytes:
        """Segments for those of these tables that a decoder lacks. Raises MALFORMED_PHOTO for a missing one."""
        out = b""
        for table in sorted(set(ids)):
            current = self._current.get((marker, table))
            if current is None:
                if optional:
                    continue
                raise refusals.malformed("a missing table")
            if self._sent.get((marker, table)) != current:
                self._sent[marker, table] = current
                out += segment(marker, current)
        return out


def _quantization(payload: bytes) -> int:
    """Bytes of the table at the start of a DQT payload (T.81, B.2.4.1)."""
    size = 129 if payload[0] >> 4 else 65
    if payload[0] & 0xEC or len(payload) < size:
        raise refusals.malformed("its quantization table")
    return size


def _huffman(payload: bytes) -> int:
    """Bytes of the table at the start of a DHT payload (T.81, B.2.4.2). Its codes must form a prefix code (annex C)."""
    counts = payload[1:17]
    symbols = sum(counts)
    if payload[0] & 0xEC or len(payload) < 17 + symbols or symbols > 256:
        raise refusals.malformed("its Huffman table")
    code = 0
    for length, count in enumerate(counts, start=1):
        code = (code << 1) + count
        if count and code >= 1 << length:  # no code is all ones
            raise refusals.malformed("its Huffman table")
    values = payload[17 : 17 + symbols]
    if payload[0] < 0x10 and any(value > 15 for value in values):
        raise refusals.malformed("its Huffman table")
    return 17 + symbols


def _conditioning(payload: bytes) -> int:
    """Bytes of the entry at the start of a DAC payload (T.81, B.2.4.3)."""
    if len(payload) < 2 or payload[0] & 0xEC:
        raise refusals.malformed("its conditioning table")
    low, high = payload[1] & 15, payload[1] >> 4
    if (low > high) if payload[0] < 0x10 else not 1 <= payload[1] <= 63:
        raise refusals.malformed("its conditioning table")
    return 2
