"""What goes into a render and what comes out of it. No framework, no I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Cancelled = Callable[[], bool]
"""Asked between two steps, from the worker's thread. True: the engine raises ``mesh.errors.Cancelled``."""


@dataclass(frozen=True, slots=True)
class Job:
    """One photo and what to make of it.

    photo:        the scrubbed file, whole, in the frames in which it came (never joined: a joined copy is one more
                  copy to let go of).
    format:       "jpeg", "png" or "webp", as ingest sniffed it.
    width/height: pixels as stored, before ``orientation`` is applied.
    orientation:  EXIF 2.32 tag 0x0112, 1..8, still to be applied.
    caption_id:   "" takes the scene's first caption.
    locale:       BCP 47; "" is "en".
    seed:         any int; the same (photo, scene, seed) gives the same picture.
    deadline:     ``time.monotonic()``'s, s: the end of the photo's lease. No step begins, and no remote network is
                  waited for, beyond it.
    """

    photo: Sequence[bytes]
    format: str
    width: int
    height: int
    orientation: int
    scene_id: str
    caption_id: str = ""
    locale: str = ""
    seed: int = 0
    deadline: float = math.inf


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture: a JPEG file that was built from pixels only."""

    data: bytes
    media_type: str
    width: int
    height: int


class Progress(Protocol):
    """Told before each step and at the end. ``step`` is a closed word (a step's name), ``fraction`` rises 0 to 1."""

    def __call__(self, step: str, fraction: float) -> None: ...
