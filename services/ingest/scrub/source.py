"""A pushed stream, read as if it were pulled.

Parsers are generators: they ask a ``Source`` for bytes and pause (``yield``) whenever it has run dry. So a parser
reads like its format's specification and still never holds more than the chunk that it was fed last. What a parser
keeps leaves as views of that chunk; neighbouring ranges leave as one.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from services.ingest import refusals
from services.ingest.scrub.watch import Observer

T = TypeVar("T")
Steps = Generator[None, None, T]
"""A parser's step: pauses when it needs another chunk, returns T."""

Piece = bytes | memoryview


class Source:
    """The chunk that was fed last, a position in it, and the scrubbed pieces that are ready.

    ``chunk[pos:]`` is unread. Scanners may look at it, then move on with ``keep_to`` or ``drop_to``.
    """

    __slots__ = ("_ended", "_kept_from", "_kept_to", "_pieces", "chunk", "offset", "pos")

    def __init__(self) -> None:
        self.chunk = b""
        self.pos = 0
        self.offset = 0  # of the chunk's first byte in the file
        self._kept_from = 0
        self._kept_to = 0
        self._pieces: list[Piece] = []
        self._ended = False

    # What the scrubber calls.

    def push(self, chunk: bytes) -> None:
        """Offer the next chunk. The one before must have been used up, which pausing parsers see to."""
        self.chunk = chunk
        self.pos = 0

    def end(self) -> None:
        """No more chunks: a parser that asks for bytes is told TRUNCATED_PHOTO."""
        self._ended = True

    def pieces(self) -> list[Piece]:
        """Hand over what is ready, and forget it."""
        self._flush()
        pieces, self._pieces = self._pieces, []
        return pieces

    def clear(self) -> None:
        """Forget every byte."""
        self.offset += len(self.chunk)
        self.chunk = b""
        self.pos = self._kept_from = self._kept_to = 0
        self._pieces = []

    # What parsers call.

    @property
    def position(self) -> int:
        """Offset in the file of the next unread byte."""
        return self.offset + self.pos

    def more(self) -> Steps[None]:
        """Pause until there is an unread byte. Raises TRUNCATED_PHOTO when none will come."""
        while self.pos == len(self.chunk):
            if self._ended:
                raise refusals.truncated()
            self._forget()
            yield

    def read(self, size: int) -> Steps[bytes]:
        """Exactly ``size`` bytes, copied; callers bound ``size``."""
        end = self.pos + size
        if end <= len(self.chunk):
            data = self.chunk[self.pos : end]
            self.pos = end
            return data
        parts = bytearray()
        while len(parts) < size:
            yield from self.more()
            part = self.chunk[self.pos : self.pos + size - len(parts)]
            self.pos += len(part)
            parts += part
        return bytes(parts)

    def skip(self, size: int, observer: Observer | None = None) -> Steps[None]:
        """Pass over ``size`` bytes without holding them."""
        while size:
            yield from self.more()
            end = min(self.pos + size, len(self.chunk))
            if observer is not None:
                observer.see(self.chunk, self.pos, end)
            size -= end - self.pos
            self.pos = end

    def copy(self, size: int, *observers: Observer) -> Steps[None]:
        """Keep the next ``size`` bytes, as views."""
        while size:
            yield from self.more()
            end = min(self.pos + size, len(self.chunk))
            for observer in observers:
                observer.see(self.chunk, self.pos, end)
            size -= end - self.pos
            self.keep_to(end)

    def drain(self) -> Steps[int]:
        """Pass over what is in the chunk, else pause; the number of bytes, 0 at the end of the input."""
        if self.pos == len(self.chunk) and not self._ended:
            self._forget()
            yield
        size = len(self.chunk) - self.pos
        self.pos = len(self.chunk)
        return size

    @property
    def ended(self) -> bool:
        return self._ended and self.pos == len(self.chunk)

    def emit(self, data: bytes) -> None:
        """Put bytes of our own making out."""
        self._flush()
        self._pieces.append(data)

    def keep_to(self, end: int) -> None:
        """Keep ``chunk[pos:end]``."""
        self._keep(self.pos, end)
        self.pos = end

    def keep_read(self, data: bytes) -> None:
        """Keep ``data``, which was the last read: as a view if it came from this chunk alone."""
        start = self.pos - len(data)
        if start >= 0:
            self._keep(start, self.pos)
        else:
            self.emit(data)

    def _keep(self, start: int, end: int) -> None:
        if start != self._kept_to:
            self._flush()
            self._kept_from = start
        self._kept_to = end

    def _flush(self) -> None:
        if self._kept_to > self._kept_from:
            whole = self._kept_from == 0 and self._kept_to == len(self.chunk)
            self._pieces.append(self.chunk if whole else memoryview(self.chunk)[self._kept_from : self._kept_to])
        self._kept_from = self._kept_to

    def _forget(self) -> None:
        self._flush()
        self.offset += len(self.chunk)
        self.chunk = b""
        self.pos = self._kept_from = self._kept_to = 0
