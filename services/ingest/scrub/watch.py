"""Observers of bytes that stream past: they look, count or match, and hold next to nothing."""

from __future__ import annotations

import zlib
from typing import Protocol


class Observer(Protocol):
    def see(self, chunk: bytes, start: int, end: int) -> None:
        """Look at ``chunk[start:end]``, which follows what was seen before."""


class Crc:
    """CRC-32 as PNG counts it (PNG 3rd edition, section 5.5)."""

    __slots__ = ("value",)

    def __init__(self, start: bytes) -> None:
        self.value = zlib.crc32(start)

    def see(self, chunk: bytes, start: int, end: int) -> None:
        self.value = zlib.crc32(memoryview(chunk)[start:end], self.value)


class AiMark:
    """Looks for IPTC digitalSourceType values that name a trained model, in XMP and C2PA manifests alike.

    The needle is what ``trainedAlgorithmicMedia`` and ``compositeWithTrainedAlgorithmicMedia`` share
    (https://cv.iptc.org/newscodes/digitalsourcetype/). A match may lie across chunks.
    """

    NEEDLE = b"rainedAlgorithmicMedia"
    __slots__ = ("_tail", "found")

    def __init__(self) -> None:
        self.found = False
        self._tail = b""

    def see(self, chunk: bytes, start: int, end: int) -> None:
        if self.found:
            return
        overlap = len(self.NEEDLE) - 1
        seam = self._tail + chunk[start : min(end, start + overlap)]
        self.found = self.NEEDLE in seam or chunk.find(self.NEEDLE, start, end) >= 0
        self._tail = b"" if self.found else (self._tail + chunk[max(start, end - overlap) : end])[-overlap:]
