"""The picture of a canary: a band of noise, and below it one random tile of 8 × 8 pixels, again and again.

Noise makes every window of the file unique. The tile makes the rest of it periodic, in the file of a JPEG as in
pixels of any size, so that few needles stand for all of it and no remains are too short to hold one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TILE = 8  # px: the side of a JPEG block, which then always compresses to the same bits
NOISE_ROWS = 16  # px; a multiple of the tile

Pixels = NDArray[np.uint8]
"""(H, W, 3), RGB."""


def draw(random: np.random.Generator, width: int, height: int, *, noise: int = NOISE_ROWS) -> Pixels:
    """width, height: px, multiples of 8. noise: rows."""
    tile = random.integers(0, 256, (TILE, TILE, 3), dtype=np.uint8)
    pixels = np.tile(tile, (height // TILE, width // TILE, 1))
    pixels[:noise] = random.integers(0, 256, (noise, width, 3), dtype=np.uint8)
    return pixels
