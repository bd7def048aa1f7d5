"""A JPEG's frame and its scans: every bit of every coefficient at most once (ITU-T T.81, B.2.2, B.2.3, G.1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from services.ingest.verify.disagreement import require

_MOST_PER_BLOCK = 512
"""Bytes that one 8 × 8 block may take in a scan. It can't need more than 434: 64 codes of at most 27 bits (T.81, F.1.2
and F.1.4), each byte stuffed, and a restart marker. The rest is there so that no upload can provoke an alarm."""


class Part(NamedTuple):
    """A colour component: its sampling factors and its quantization table."""

    id: int
    h: int
    v: int
    quant: int


@dataclass(frozen=True, slots=True)
class Scan:
    """parts: the components; tables: the entropy tables that it reads, as class × 16 + id."""

    parts: tuple[Part, ...]
    fresh: frozenset[int]  # quantization tables of components that no scan before has held
    tables: frozenset[int]


class Picture:
    """SOF, then each SOS. Raises Disagreement for anything that a scrubbed JPEG doesn't say in this very form."""

    def __init__(self, code: int, payload: bytes) -> None:
        require(len(payload) > 8 and len(payload) == 6 + 3 * payload[5] and payload[5] in (1, 3, 4), "the frame")
        self.arithmetic, self._progressive = code >= 0xC9, code in (0xC2, 0xCA)
        self.height, self.width = int.from_bytes(payload[1:3]), int.from_bytes(payload[3:5])
        triples = zip(payload[6::3], payload[7::3], payload[8::3], strict=True)
        self.parts = {each: Part(each, hv >> 4, hv & 15, quant) for each, hv, quant in triples}
        sound = all(part.h in range(1, 5) and part.v in range(1, 5) and part.quant < 4 for part in self.parts.values())
        require(payload[0] == 8 and self.width > 0 and self.height > 0, "the frame")
        require(sound and len(self.parts) == payload[5], "the components of the frame")
        self._sent: dict[tuple[int, int], int] = {}  # (component, coefficient) -> its lowest bit that was sent

    @property
    def complete(self) -> bool:
        return all((part, 0) in self._sent for part in self.parts)

    def scan(self, payload: bytes) -> Scan:
        """SOS in its canonical form, bringing something new."""
        count = payload[0]
        require(1 <= count <= len(self.parts) and len(payload) == 4 + 2 * count, "the scan header")
        ids, selectors = payload[1 : 1 + 2 * count : 2], payload[2 : 2 + 2 * count : 2]
        require(len(set(ids)) == count and set(ids) <= self.parts.keys(), "the components of a scan")
        parts = tuple(self.parts[each] for each in ids)
        require(count == 1 or sum(part.h * part.v for part in parts) <= 10, "the sampling factors")
        first, last, bits = payload[-3:]
        high, low = bits >> 4, bits & 15
        if self._progressive:
            require(low <= 13 and (high == 0 or high == low + 1), "the precision of a scan")
            require(last == 0 if first == 0 else first <= last < 64 and count == 1, "the coefficients of a scan")
        else:
            require((first, last, bits) == (0, 63, 0), "the coefficients of a scan")
        fresh = frozenset(part.quant for part in parts if (part.id, 0) not in self._sent)
        self._send(ids, range(first, last + 1), high, low)
        return Scan(parts, fresh, _tables(selectors, dc=first == 0 and not high, ac=last > 0))

    def _send(self, ids: bytes, span: range, high: int, low: int) -> None:
        for each in ids:
            require(span.start == 0 or (each, 0) in self._sent, "the order of scans")
            for coefficient in span:
                require(self._sent.get((each, coefficient), 0) == high, "a coefficient that is sent twice")
                require(high > 0 or (each, coefficient) not in self._sent, "a coefficient that is sent twice")
                self._sent[each, coefficient] = low

    def check_volume(self, scan: Scan, size: int) -> None:
        """No scan holds far more data than its blocks could take."""
        widest, highest = (max(part[at] for part in self.parts.values()) for at in (1, 2))
        blocks = sum(
            (ceil(self.width * part.h / widest / 8) + 4) * (ceil(self.height * part.v / highest / 8) + 4)
            for part in scan.parts
        )
        require(size <= _MOST_PER_BLOCK * blocks, "more data than the picture can need")


def _tables(selectors: bytes, *, dc: bool, ac: bool) -> frozenset[int]:
    """The entropy tables that are read. A selector says nothing about one that isn't."""
    used = set[int]()
    for selector in selectors:
        require(selector & 0xCC == 0, "a table selector")
        require(dc or selector >> 4 == 0, "a table selector")
        require(ac or selector & 15 == 0, "a table selector")
        if dc:
            used.add(selector >> 4)
        if ac:
            used.add(0x10 | selector & 15)
    return frozenset(used)
