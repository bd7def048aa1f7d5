"""The way of any photo through ingest: streamed through the scrubber, or collected, converted and then scrubbed."""

from __future__ import annotations

from services.ingest import refusals
from services.ingest.isolated.convert import Converter
from services.ingest.isolated.kinds import source
from services.ingest.limits import Limits
from services.ingest.report import Facts, Source
from services.ingest.scrub import Scrubber
from services.ingest.scrub.source import Piece
from services.ingest.sniff import ENOUGH


class Passage:
    """As a ``Scrubber``, but with an end that has to be waited for. Without a converter, it is only a scrubber.

    Holds a whole file, bounded by ``limits.max_bytes``, if its format asks for it.
    """

    def __init__(self, limits: Limits, converter: Converter | None) -> None:
        self._limits = limits
        self._converter = converter
        self._scrubber = Scrubber(limits)
        self._streaming = converter is None
        self._source: Source | None = None
        self._chunks: list[bytes] = []
        self._held = 0

    @property
    def facts(self) -> Facts | None:
        """None until format and size are known."""
        return None if self._source is not None else self._scrubber.facts

    def feed(self, chunk: bytes) -> list[Piece]:
        """Raises Invalid, as ``Scrubber.feed``."""
        if self._streaming:
            return self._scrubber.feed(chunk)
        self._held += len(chunk)
        if self._held > self._limits.max_bytes:
            raise refusals.too_large(self._limits.max_bytes)
        self._chunks.append(chunk)
        if self._source is None and (self._held >= ENOUGH or self._known()):
            return self._decide()
        return []

    async def finish(self) -> tuple[list[Piece], Facts]:
        """Raises Invalid; Unavailable when no worker is to be had."""
        pieces = [] if self._streaming or self._source is not None else self._decide()
        if self._source is None or self._converter is None:
            tail, facts = self._scrubber.finish()
            return [*pieces, *tail], facts
        chunks, self._chunks = self._chunks, []
        picture, notes = await self._converter.convert(self._source, chunks)
        # Scrubbed like any photo: whatever a decoder was made to do, this is what may leave.
        pieces = self._scrubber.feed(bytes(picture))
        tail, facts = self._scrubber.finish()
        return [*pieces, *tail], notes.about(facts, self._source)

    def _known(self) -> bool:
        return source(b"".join(self._chunks)) is not None

    def _decide(self) -> list[Piece]:
        head = b"".join(self._chunks)
        self._source = source(head)
        if self._source is not None:
            return []
        self._streaming, self._chunks = True, []
        return self._scrubber.feed(head)
