"""The bytes that a photo's pixels are in a process that works on it.

The decoder of render (services/render/decoder.py) brings a photo to a working size; Pillow holds RGB in four bytes a
pixel, steps compute on float32 between 0 and 1. A test keeps this file and the decoder together.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from services.purge.auditor.canary.drawing import NOISE_ROWS, TILE, Pixels

WORK_SIDE = 1536  # px, as in services/render/decoder.py
_BAND = 16  # rows that are looked for of each so many of a picture, whose rows all differ
_EVERY = 64


def decoded(data: bytes) -> Image.Image:
    """RGB at the size at which a decoder first has it."""
    with Image.open(io.BytesIO(data)) as image:
        if image.format == "JPEG":
            image.draft("RGB", _fit(image.size))
        return image.convert("RGB")


def at_working_size(image: Image.Image) -> Image.Image:
    size = _fit(image.size)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def _fit(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, WORK_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def canary_rows(image: Image.Image, original_height: int) -> Pixels:
    """The rows of a canary that are different: its noise, a few periods of its tile, the last ones."""
    rows = np.asarray(image)
    noise = -(-NOISE_ROWS * image.height // original_height) + TILE
    if image.height <= noise + 6 * TILE:
        return rows
    return np.concatenate((rows[: noise + 4 * TILE], rows[-2 * TILE :]))


def picture_rows(image: Image.Image) -> Pixels:
    """Bands of a picture, a quarter of its rows: whatever stays of more than 48 rows holds some of them."""
    rows = np.asarray(image)
    return np.concatenate([rows[at : at + _BAND] for at in range(0, len(rows), _EVERY)])


def layouts(rows: Pixels) -> Iterator[bytes]:
    """As RGB, as RGBX (Pillow fills with 255), and as float32."""
    yield rows.tobytes()
    yield np.dstack((rows, np.full(rows.shape[:2], 255, np.uint8))).tobytes()
    yield (rows.astype("<f4") / np.float32(255)).tobytes()
