"""Texture that a hand makes: parallel strokes of one direction, and the tooth of paper. A helper of drawn portraits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from services.render.steps.layers.board import fbm
from services.render.steps.pixels import Array


def strokes(rng: np.random.Generator, height: int, width: int, angle: float, spacing: float) -> Array:
    """(height, width) 0..1, uneven strokes at ``angle`` (degrees) about ``spacing`` px apart."""
    reach = int(np.hypot(height, width)) + 4
    noise = fbm(rng, reach, reach, spacing * 4, 3, stretch=60, gain=0.7)
    turned = np.asarray(Image.fromarray(noise).rotate(angle, Image.Resampling.BILINEAR))
    top, left = (reach - height) // 2, (reach - width) // 2
    return np.asarray(turned[top : top + height, left : left + width], np.float32)


def tooth(rng: np.random.Generator, height: int, width: int, size: float) -> Array:
    """(height, width) about 0.5 +- 0.2: the paper's grain, ``size`` px."""
    fine = rng.random((height, width), dtype=np.float32)
    return np.asarray(0.75 * fbm(rng, height, width, size, 3, gain=0.7) + 0.25 * fine, np.float32)
