"""Bytes as they come, handed to whoever waits for them.

An automaton tells its tape what it waits for next: so many bytes (``read``), so many that only pass (``watch``), as
many as pass until a pattern (``hunt``), or as many as it takes itself (``take``). The tape calls back when they have
come. There is no way to pass over a byte without saying why; after ``close`` none may come.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from services.ingest.verify.disagreement import Disagreement

MOST_HELD = 4096
"""The most bytes that an automaton may ask for at once; no part of an output is longer but the picture's data."""

View = bytes | memoryview


class Tape:
    def __init__(self) -> None:
        self._held = bytearray()
        self._step: Callable[[memoryview], int] = self._closed  # takes some bytes, says how many
        self._left = 0
        self._then_read: Callable[[bytes], None] | None = None
        self.offset = 0
        self.closed = True

    def feed(self, piece: View) -> None:
        """Hand over the next bytes. Raises Disagreement."""
        view = memoryview(piece)
        while view:
            taken = self._step(view)
            self.offset += taken
            view = view[taken:]

    def clear(self) -> None:
        """Forget every byte."""
        self._held.clear()

    # What automata call, each time once before they return.

    def read(self, size: int, then: Callable[[bytes], None]) -> None:
        """Wait for ``size`` bytes, of which there is at least one."""
        if not 0 < size <= MOST_HELD:
            raise Disagreement("the length of a part")
        self._left, self._then_read, self.closed = size, then, False
        self._step = self._reading

    def watch(self, size: int, see: Callable[[memoryview], None], then: Callable[[], None]) -> None:
        """Let ``size`` bytes pass by ``see``."""

        def passing(view: memoryview) -> int:
            part = view[: self._left]
            see(part)
            self._left -= len(part)
            if not self._left:
                then()
            return len(part)

        self._left, self.closed = size, False
        self._step = passing
        if not size:
            then()

    def hunt(self, pattern: re.Pattern[bytes], then: Callable[[], None]) -> None:
        """Let bytes pass up to where the pattern first matches in what has come; the match itself is yet to be read."""

        def hunting(view: memoryview) -> int:
            hit = pattern.search(view)
            if hit is None:
                return len(view)
            then()
            return hit.start()

        self.closed = False
        self._step = hunting

    def take(self, step: Callable[[memoryview], int]) -> None:
        """Offer what comes to ``step``, which says how many it took; before it leaves any, it says what is next."""
        self.closed = False
        self._step = step

    def close(self) -> None:
        """The end: no further byte may come."""
        self._step, self.closed = self._closed, True

    def _reading(self, view: memoryview) -> int:
        part = view[: self._left]
        self._held += part
        self._left -= len(part)
        if not self._left and self._then_read is not None:
            data = bytes(self._held)
            self._held.clear()
            self._then_read(data)
        return len(part)

    def _closed(self, _view: memoryview) -> int:
        raise Disagreement("bytes after the end")
