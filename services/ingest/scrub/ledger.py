"""What a parser has found out so far, while the photo is still arriving."""

from __future__ import annotations

from services.ingest import refusals
from services.ingest.limits import Limits
from services.ingest.report import Colour, Facts, Format, Removed
from services.ingest.scrub import exif, icc
from services.ingest.scrub.watch import AiMark

_MAX_EXIF_BLOCKS = 8
"""Blocks of one file that are read before they are removed: phones write one, and each costs up to a millisecond."""


class Ledger:
    """Grows as the stream passes; ``facts()`` is a snapshot of it.

    Orientation and colour are the first that the file states; later statements are removed unread.
    """

    def __init__(self, format: Format, limits: Limits) -> None:
        self.limits = limits
        self.width = 0
        self.height = 0
        self.has_alpha = False
        self.colour: Colour | None = None
        self.unknown_profile = False  # that is what the colour was stated by
        self.settled: int | None = None  # offset in the file where the colour could no longer change
        self._format = format
        self._orientation: int | None = None
        self._removed: dict[Removed, int] = {}
        self._marks: dict[Removed, AiMark] = {}
        self._segments = 0
        self._exif_blocks = 0

    def set_size(self, width: int, height: int) -> None:
        """Pixels. Raises MALFORMED_PHOTO for a side of zero, and what ``Limits.check_size`` raises."""
        if not (width and height):
            raise refusals.malformed("a side of zero pixels")
        self.limits.check_size(width, height)
        self.width, self.height = width, height

    def segment(self) -> None:
        """Count one segment or chunk. Raises TOO_MANY_SEGMENTS."""
        self._segments += 1
        if self._segments > self.limits.max_segments:
            raise refusals.too_many_segments(self.limits.max_segments)

    def remove(self, kind: Removed, size: int) -> None:
        if size > 0:
            self._removed[kind] = self._removed.get(kind, 0) + size

    def exif(self, block: bytes) -> None:
        """Note what a TIFF block holds; the block itself is counted by whoever removed it."""
        if self._exif_blocks == _MAX_EXIF_BLOCKS:
            return
        self._exif_blocks += 1
        found = exif.parse(block)
        if self._orientation is None:
            self._orientation = found.orientation
        self.remove(Removed.GPS, found.gps)
        self.remove(Removed.MAKER_NOTE, found.maker_note)
        self.remove(Removed.THUMBNAIL, found.thumbnail)

    def declare(self, colour: Colour, *, by_profile: bool = False) -> None:
        if self.colour is None:
            self.colour = colour
            self.unknown_profile = by_profile and colour is Colour.UNKNOWN

    def profile(self, profile: bytes, counted: int) -> None:
        """Declare what an ICC profile describes. One that is already ours comes back, so it wasn't removed.

        ``counted``: the bytes that were counted as removed with it.
        """
        if self.colour is not None:
            return
        colour = icc.recognise(profile)
        self.declare(colour, by_profile=True)
        if colour in icc.OURS and profile == icc.profile(colour):
            self.restore(Removed.ICC, counted)

    def restore(self, kind: Removed, size: int) -> None:
        """Take back a count: the same bytes are written again."""
        self._removed[kind] -= size
        if not self._removed[kind]:
            del self._removed[kind]

    def settle_colour(self, at: int, *, rgb: bool = True) -> Colour:
        """The space to declare before the pixels, which start after ``at``; later declarations are too late.

        ``rgb`` is False for grey and CMYK pixels, which none of our profiles fits.
        """
        self.settled = at
        settled = self.colour or Colour.SRGB
        self.colour = settled if rgb or settled is Colour.SRGB else Colour.UNKNOWN
        return self.colour

    def mark(self, kind: Removed) -> AiMark | None:
        """The observer that a removed block of this kind should pass, if it may carry a mark of AI generation."""
        if kind not in (Removed.XMP, Removed.C2PA):
            return None
        return self._marks.setdefault(kind, AiMark())

    def facts(self) -> Facts | None:
        if not self.width:
            return None
        colour = self.colour or Colour.SRGB
        return Facts(
            format=self._format,
            width=self.width,
            height=self.height,
            orientation=self._orientation or 1,
            has_alpha=self.has_alpha,
            removed=dict(self._removed),
            colour=colour,
            colour_profile_dropped=colour is Colour.UNKNOWN,
            ai_generated=any(mark.found for mark in self._marks.values()),
        )
