"""What an automaton has understood of the picture, to be held against what was announced."""

from __future__ import annotations

from dataclasses import dataclass

from services.ingest.report import Colour, Facts, Format
from services.ingest.verify.disagreement import require


@dataclass(slots=True)
class Drawing:
    """width, height: pixels. profile: the space of the embedded profile; None when there is none."""

    format: Format
    width: int = 0
    height: int = 0
    has_alpha: bool = False
    profile: Colour | None = None

    def agree(self, facts: Facts) -> None:
        """Raises Disagreement when the announced facts are of another picture."""
        require(facts.format is self.format, "the format announced")
        require((facts.width, facts.height) == (self.width, self.height), "the size announced")
        require(facts.has_alpha is self.has_alpha, "the transparency announced")
        require(1 <= facts.orientation <= 8, "the orientation announced")
        plain = (Colour.SRGB, Colour.UNKNOWN)  # neither has a profile; UNKNOWN says that one was dropped
        require(facts.colour is self.profile if self.profile else facts.colour in plain, "the colour announced")
