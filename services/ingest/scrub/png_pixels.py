"""What the IDATs of a PNG must be, as far as it can be told at the speed of memory, and in full on request.

The IDATs' bytes are one zlib stream (RFC 1950). Its header and its volume are always checked: deflate shrinks at most
1,032-fold and grows by less than an eighth, so a file that declares a huge picture over a few bytes is truncated or a
bomb, and one that brings far more than its picture could need carries something else. Whether the stream ends
exactly where the picture does can only be told by inflating it (``Limits.inflate_idat``): many times the cost of all
the rest, so the mesh leaves it to render's decode, after which no byte of the stream exists any more.
"""

from __future__ import annotations

import zlib

from services.ingest import refusals

_STEP = 64 * 1024


class Volume:
    """Counts the stream and checks its two-byte header (RFC 1950, 2.2): deflate, window ≤ 32 KiB, no dictionary."""

    def __init__(self, raw_bytes: int) -> None:
        self._raw = raw_bytes
        self._size = 0
        self._header = b""

    def see(self, chunk: bytes, start: int, end: int) -> None:
        self._size += end - start
        if len(self._header) < 2:
            self._header += chunk[start : min(end, start + 2 - len(self._header))]
            if len(self._header) == 2:
                self._check_header()

    def _check_header(self) -> None:
        method, flags = self._header
        if method & 15 != 8 or method >> 4 > 7 or flags & 0x20 or int.from_bytes(self._header) % 31:
            raise refusals.malformed("its compressed data")

    def finish(self) -> None:
        if self._size * 1032 < self._raw or len(self._header) < 2:
            raise refusals.truncated()
        if self._size > self._raw + self._raw // 8 + 4096:
            raise refusals.malformed("more data than its picture can need")


class Inflated:
    """Inflates the stream without keeping it: it must give the picture's bytes, no more, no fewer, and then end."""

    def __init__(self, raw_bytes: int) -> None:
        self._left = raw_bytes
        self._zlib = zlib.decompressobj()

    def see(self, chunk: bytes, start: int, end: int) -> None:
        data: bytes | memoryview = memoryview(chunk)[start:end]
        try:
            while data:
                if self._zlib.eof:
                    raise refusals.malformed("data after its picture")
                self._left -= len(self._zlib.decompress(data, _STEP))
                if self._left < 0:
                    raise refusals.malformed("more data than its picture can need")
                data = self._zlib.unconsumed_tail or self._zlib.unused_data
        except zlib.error:
            raise refusals.malformed("its compressed data") from None

    def finish(self) -> None:
        while not self._zlib.eof and (more := self._zlib.decompress(b"", _STEP)):
            self._left -= len(more)
        if self._left or not self._zlib.eof:
            raise refusals.truncated()


Proof = Volume | Inflated


def proofs(raw_bytes: int, *, inflate: bool) -> tuple[Proof, ...]:
    """What watches the IDATs of a picture of ``raw_bytes`` filtered bytes; each is finished at the file's end."""
    return (Volume(raw_bytes), Inflated(raw_bytes)) if inflate else (Volume(raw_bytes),)
