"""What a container says before anything is decoded: how large the picture is, and what else the file carries.

Runs in the child. Readers raise Refused with a code of ``codes``; anything else that they raise is a malformed photo.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from services.ingest.report import Removed
from services.ingest.scrub import exif


@dataclass(slots=True)
class Survey:
    """sizes: (width, height) of every picture in the file that a decoder might be led to, the primary one first.
    removed: bytes per kind, as in ``report.Facts``. primaries: of the primary picture's colour, by number (ITU-T H.273,
    table 2); None when not stated.
    """

    sizes: list[tuple[int, int]] = field(default_factory=list)
    removed: dict[Removed, int] = field(default_factory=dict)
    primaries: int | None = None

    def remove(self, kind: Removed, size: int) -> None:
        if size > 0:
            self.removed[kind] = self.removed.get(kind, 0) + size

    def exif(self, block: bytes) -> None:
        """Counts what lies inside an EXIF block; the block itself is counted by whoever found it."""
        found = exif.parse(block)
        self.remove(Removed.GPS, found.gps)
        self.remove(Removed.MAKER_NOTE, found.maker_note)
        self.remove(Removed.THUMBNAIL, found.thumbnail)
