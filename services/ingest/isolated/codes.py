"""The closed set of what the child may say when it refuses a photo; ``convert`` has each one's words."""

from __future__ import annotations

from typing import Final

MALFORMED: Final = "malformed"
TRUNCATED: Final = "truncated"
RAW: Final = "raw"
CODING: Final = "coding"
DIMENSION: Final = "dimension"
PIXELS: Final = "pixels"
SEGMENTS: Final = "segments"
