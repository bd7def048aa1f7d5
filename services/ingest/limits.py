"""What a photo may cost, checked before the work that it bounds."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mesh.errors import ConfigError
from services.ingest import refusals

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one scrub.

    max_bytes:           bytes of the uploaded file, trailers included. Default 32 MiB.
    max_pixels:          width × height. Default 100 million (a decoder then needs about 400 MB).
    max_dimension:       pixels of the longer side. Default 20,000.
    max_segments:        JPEG marker segments, PNG chunks or WebP chunks, kept or not. Default 20,000: a 32 MiB PNG in
                         libpng's 8 KiB IDATs has 4,096.
    max_scans:           scans of a progressive JPEG. Default 64: encoders write about 10; each costs a decoder a pass
                         over all coefficients, however few bytes it holds.
    max_metadata_bytes:  bytes of one metadata block (EXIF, ICC, a small ALPH) that are held at once; the rest of the
                         block is skipped as it arrives. Default 48 KiB.
    max_frames:          frames of an animation of which only the first is kept. Default 1,000.
    inflate_idat:        prove that a PNG's IDATs inflate to exactly the picture and hold nothing after it. Costs the
                         CPU of a decode, many times the scrub's own, so it is off where a decode follows anyway.
    """

    max_bytes: int = 32 * MIB
    max_pixels: int = 100_000_000
    max_dimension: int = 20_000
    max_segments: int = 20_000
    max_scans: int = 64
    max_metadata_bytes: int = 48 * 1024
    max_frames: int = 1_000
    inflate_idat: bool = False

    def __post_init__(self) -> None:
        for bound in fields(self):
            if bound.name.startswith("max_") and getattr(self, bound.name) < 1:
                raise ConfigError(f"{bound.name} must be at least 1")

    def check_size(self, width: int, height: int) -> None:
        """Raise DIMENSION_TOO_LARGE or TOO_MANY_PIXELS. Both in pixels; zero is the caller's to refuse."""
        if max(width, height) > self.max_dimension:
            raise refusals.dimension_too_large(self.max_dimension)
        if width * height > self.max_pixels:
            raise refusals.too_many_pixels(self.max_pixels)
