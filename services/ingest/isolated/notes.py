"""What a conversion left behind, as the child says it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from services.ingest.report import Colour, Facts, Removed, Source


@dataclass(frozen=True, slots=True)
class Notes:
    """As in ``report.Facts``. colour_unknown: the pixels were in a space that we don't know, and are taken for sRGB."""

    removed: dict[Removed, int]
    ai_generated: bool
    colour_unknown: bool

    @classmethod
    def checked(cls, said: Any, uploaded: int) -> Notes:
        """From a child's JSON. ValueError, KeyError, TypeError, AttributeError for anything but these three fields."""
        removed = {Removed(kind): size for kind, size in said["removed"].items()}
        sizes_fit = all(type(size) is int and 0 < size <= uploaded for size in removed.values())
        flags = (said["ai_generated"], said["colour_unknown"])
        if len(said) != 3 or not sizes_fit or not all(type(flag) is bool for flag in flags):
            raise ValueError
        return cls(removed, *flags)

    def about(self, facts: Facts, source: Source) -> Facts:
        """``facts`` are of the converted picture; what they count as removed is our own encoder's, not the photo's."""
        return replace(
            facts,
            orientation=1,
            removed=self.removed,
            ai_generated=self.ai_generated,
            colour=Colour.UNKNOWN if self.colour_unknown else Colour.SRGB,
            colour_profile_dropped=self.colour_unknown,
            converted_from=source,
        )
