"""The way of any photo through ingest: streamed through the scrubber, or collected, converted and then scrubbed."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import Final

from services.ingest import refusals
from services.ingest.isolated.convert import Converter
from services.ingest.isolated.kinds import source
from services.ingest.limits import MIB, Limits
from services.ingest.report import Colour, Facts, Format, Source
from services.ingest.scrub import Scrubber
from services.ingest.scrub.source import Piece
from services.ingest.sniff import ENOUGH

MOST_HEAD: Final = 4 * MIB
"""Bytes before the pixels that are held for the sake of a profile among them; a profile for print has up to 2.7."""


class _Way(Enum):
    UNDECIDED = auto()  # the first bytes
    WHOLE = auto()  # a format that only a decoder can open
    HEAD = auto()  # being scrubbed, but nothing goes out before the colour is settled
    RECOLOUR = auto()  # of a profile that we don't know: the scrubbed picture is held
    STREAM = auto()


class Passage:
    """As a ``Scrubber``, but with an end that has to be waited for. Without a converter, it is only a scrubber.

    Holds a whole file, bounded by ``limits.max_bytes``, if its format or its colour profile asks for it; of all others
    at most ``MOST_HEAD`` and a chunk, up to where the pixels begin.
    """

    def __init__(self, limits: Limits, converter: Converter | None) -> None:
        self._limits = limits
        self._converter = converter
        self._scrubber = Scrubber(limits)
        self._way = _Way.STREAM if converter is None else _Way.UNDECIDED
        self._source: Source | None = None
        self._chunks: list[bytes] = []
        self._held = 0
        self._pieces: list[Piece] = []
        self._head = b""

    @property
    def facts(self) -> Facts | None:
        """None until format and size of what will come out are known."""
        return self._scrubber.facts if self._way is _Way.STREAM else None

    def feed(self, chunk: bytes) -> list[Piece]:
        """Raises Invalid, as ``Scrubber.feed``."""
        if self._way is _Way.STREAM:
            return self._scrubber.feed(chunk)
        if self._way is _Way.RECOLOUR:
            self._pieces += self._scrubber.feed(chunk)
            return []
        self._held += len(chunk)
        if self._held > self._limits.max_bytes:
            raise refusals.too_large(self._limits.max_bytes)
        self._chunks.append(chunk)
        if self._way is _Way.HEAD:
            return self._step(chunk)
        if self._way is _Way.UNDECIDED and (self._held >= ENOUGH or self._known()):
            return self._decide()
        return []

    async def finish(self) -> tuple[list[Piece], Facts]:
        """Raises Invalid; Unavailable when no worker is to be had."""
        pieces = self._decide() if self._way is _Way.UNDECIDED else []
        if self._source is not None and self._converter is not None:
            return await self._convert(self._converter, self._source)
        tail, facts = self._scrubber.finish()
        pieces = [*pieces, *self._pieces, *tail]
        self._pieces = []
        if self._way is _Way.RECOLOUR and self._converter is not None:
            return await self._recolour(self._converter, pieces, facts)
        self._way = _Way.STREAM
        return pieces, facts

    async def _convert(self, converter: Converter, source: Source) -> tuple[list[Piece], Facts]:
        chunks, self._chunks = self._chunks, []
        picture, notes = await converter.convert(source, chunks)
        pieces, facts = self._drawn(picture)
        return pieces, notes.about(facts, source)

    async def _recolour(self, converter: Converter, scrubbed: list[Piece], found: Facts) -> tuple[list[Piece], Facts]:
        head, self._head = self._head, b""
        picture = await converter.recolour(found, head, scrubbed)
        if picture is None:  # the profile is broken, or of other pixels: all that is left is to assume sRGB
            self._way = _Way.STREAM
            return scrubbed, found
        pieces, facts = self._drawn(picture)
        return pieces, replace(
            facts,
            orientation=1,
            removed=found.removed,
            ai_generated=found.ai_generated,
            colour=Colour.SRGB,
            colour_profile_dropped=False,
            converted_from=found.format,
        )

    def _drawn(self, picture: memoryview) -> tuple[list[Piece], Facts]:
        """Scrubbed like any photo: whatever a decoder was made to do, this is what may leave."""
        scrubber = Scrubber(self._limits)
        pieces = scrubber.feed(bytes(picture))
        tail, facts = scrubber.finish()
        return [*pieces, *tail], facts

    def _known(self) -> bool:
        return source(b"".join(self._chunks)) is not None

    def _decide(self) -> list[Piece]:
        head = b"".join(self._chunks)
        self._source = source(head)
        if self._source is not None:
            self._way = _Way.WHOLE
            return []
        self._way, self._chunks = _Way.HEAD, [head]
        return self._step(head)

    def _step(self, chunk: bytes) -> list[Piece]:
        """Of the head. The same way for the same photo, however it was cut: ``settled`` is an offset in the file."""
        self._pieces += self._scrubber.feed(chunk)
        settled = self._scrubber.settled
        if settled is None and self._held <= MOST_HEAD:
            return []
        if settled is not None and settled <= MOST_HEAD and self._recolourable():
            self._way, self._head = _Way.RECOLOUR, b"".join(self._chunks)[:settled]
            self._chunks = []
            return []
        self._way, self._chunks = _Way.STREAM, []
        pieces, self._pieces = self._pieces, []
        return pieces

    def _recolourable(self) -> bool:
        facts = self._scrubber.facts
        return (
            self._scrubber.unknown_profile
            and facts is not None
            and facts.format is not Format.GIF
            and self._converter is not None
            and facts.width * facts.height <= self._converter.max_pixels
        )
