"""The verifier: pieces of a scrubbed photo in, the same pieces out, or the end of the photo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from services.ingest.report import Facts, Format
from services.ingest.verify.disagreement import Disagreement, require
from services.ingest.verify.drawing import Drawing
from services.ingest.verify.gif import Gif
from services.ingest.verify.jpeg import Jpeg
from services.ingest.verify.png import Png
from services.ingest.verify.tape import Tape, View
from services.ingest.verify.webp import Webp

T = TypeVar("T")


class Automaton(Protocol):
    drawing: Drawing


_BY_FIRST_BYTE: dict[bytes, Callable[[Tape], Automaton]] = {b"\xff": Jpeg, b"\x89": Png, b"R": Webp, b"G": Gif}


class Verifier:
    """One photo's second opinion. No I/O; CPU only inside ``feed`` and ``finish``; holds at most 4 KiB.

    Raises ``Disagreement``. A verifier that has raised raises the same again, for good.
    """

    def __init__(self) -> None:
        self._tape = Tape()
        self._automaton: Automaton | None = None
        self._verdict: Disagreement | None = None
        self._tape.read(1, self._begin)

    @property
    def format(self) -> Format | None:
        """What the output is; None before its first byte."""
        return self._automaton.drawing.format if self._automaton else None

    def feed(self, pieces: Iterable[View]) -> Iterator[View]:
        """The same pieces, each once it has been read."""
        for piece in pieces:
            self._do(self._tape.feed, piece)
            yield piece

    def finish(self, facts: Facts) -> None:
        """The end of the output: it is whole, and the picture that was announced."""
        self._do(self._end, facts)

    def _begin(self, first: bytes) -> None:
        make = _BY_FIRST_BYTE.get(first)
        if make is None:
            raise Disagreement("the signature")
        self._automaton = make(self._tape)

    def _end(self, facts: Facts) -> None:
        require(self._tape.closed and self._automaton is not None, "an output that is not whole")
        if self._automaton is not None:
            self._automaton.drawing.agree(facts)

    def _do(self, step: Callable[[T], None], what: T) -> None:
        if self._verdict is None:
            try:
                return step(what)
            except Disagreement as verdict:
                self._verdict = verdict
            except Exception:  # a bug here must not let anything pass either
                self._verdict = Disagreement("something unforeseen")
        self._tape.clear()
        # Raised from here, its traceback holds no frame of an automaton, and so no byte of the photo.
        del what
        raise self._verdict.with_traceback(None)
