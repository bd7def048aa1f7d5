"""The scrubber: bytes of any photo in, bytes of the same picture and nothing else out, as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mesh.errors import Invalid
from services.ingest import refusals
from services.ingest.limits import Limits
from services.ingest.report import Facts, Format
from services.ingest.scrub.gif import Gif
from services.ingest.scrub.jpeg import Jpeg
from services.ingest.scrub.ledger import Ledger
from services.ingest.scrub.png import Png
from services.ingest.scrub.source import Piece, Source, Steps
from services.ingest.scrub.webp import Webp
from services.ingest.sniff import sniff


class Parser(Protocol):
    def run(self) -> Steps[None]:
        """Consume the whole input, signature included; return only at its end."""


_PARSERS: dict[Format, Callable[[Source, Ledger], Parser]] = {
    Format.JPEG: Jpeg,
    Format.PNG: Png,
    Format.WEBP: Webp,
    Format.GIF: Gif,
}


class Scrubber:
    """One photo's scrub. No I/O, no threads; CPU only inside ``feed`` and ``finish``.

    Chunks may be of any size, the output doesn't depend on it. Holds the chunk until the pieces of it are dropped by
    their owner, plus at most ``limits.max_metadata_bytes`` and 16 KiB.
    Raises ``Invalid`` with a ``refusals.Reason``. A scrubber that has raised raises the same again, for good.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._source = Source()
        self._ledger: Ledger | None = None
        self._steps: Steps[None] | None = None
        self._head = b""
        self._bytes = 0
        self._finished = False
        self._refusal: Invalid | None = None

    @property
    def facts(self) -> Facts | None:
        """What is known so far: not None once format and size are. The rest may change until ``finish``."""
        return self._ledger.facts() if self._ledger else None

    @property
    def settled(self) -> int | None:
        """Offset in the file at which its colour was settled, which is before the pixels; None until then."""
        return self._ledger.settled if self._ledger else None

    @property
    def unknown_profile(self) -> bool:
        """The colour is that of a profile that we don't know."""
        return self._ledger is not None and self._ledger.unknown_profile

    def feed(self, chunk: bytes) -> list[Piece]:
        """The scrubbed pieces that this chunk completes, in order: views of it where possible."""
        self._run(chunk, last=False)
        return self._source.pieces()

    def finish(self) -> tuple[list[Piece], Facts]:
        """End of the input. Raises TRUNCATED_PHOTO when the picture isn't whole."""
        self._run(b"", last=True)
        facts = self.facts
        if facts is None:
            raise refusals.truncated()
        return self._source.pieces(), facts

    def _run(self, chunk: bytes, *, last: bool) -> None:
        if self._refusal is None:
            try:
                return self._step(chunk, last)
            except Invalid as refusal:
                self._refusal = refusal
            except Exception:  # a bug of ours, but never a way around the scrub
                self._refusal = refusals.malformed("something unforeseen")
                self._forget()
                raise
        self._forget()
        # Raised from here, a refusal's traceback holds no frame of a parser, and so no byte of the photo.
        del chunk
        raise self._refusal.with_traceback(None)

    def _step(self, chunk: bytes, last: bool) -> None:
        if self._finished:
            raise RuntimeError("this scrubber has finished its photo")
        self._finished = last
        self._bytes += len(chunk)
        if self._bytes > self._limits.max_bytes:
            raise refusals.too_large(self._limits.max_bytes)
        if self._steps is None:
            chunk = self._begin(chunk, last)
        if self._steps is None:
            return
        if chunk:
            self._source.push(chunk)
            next(self._steps)
        if last:
            self._source.end()
            next(self._steps, None)

    def _begin(self, chunk: bytes, last: bool) -> bytes:
        """Sniff; the bytes that the parser starts with, once there is one."""
        head = self._head + chunk
        found = sniff(head, whole=last)
        if found is None:
            self._head = head
            return b""
        self._head = b""
        self._ledger = Ledger(found, self._limits)
        self._steps = _PARSERS[found](self._source, self._ledger).run()
        return head

    def _forget(self) -> None:
        self._source.clear()
        self._head = b""
        self._steps = None
