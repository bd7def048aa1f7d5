"""Where a drawing ends on its sheet: all of the subject, some of what is around it, and nothing at the border.

A helper of portraits on paper.
"""

from __future__ import annotations

import numpy as np

from services.render.steps.layers.board import fbm
from services.render.steps.pixels import Array, blur, smoothstep
from services.render.steps.workspace import Face


def drawn(rng: np.random.Generator, near: Array, face: Face, spread: float, ragged: float = 1.0) -> Array:
    """(H, W): below 0 bare sheet, rising to 1 and beyond towards the subject (``near``: its coverage).

    spread: how far the drawing runs beyond the subject, in shares of the longer side.
    """
    height, width = near.shape
    side = max(height, width)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    around = np.exp(-0.5 * (((x - face.x) / (face.rx * 2.3)) ** 2 + ((y - face.y) / (face.ry * 2.0)) ** 2))
    cloud = np.maximum(blur(near, spread * side * 0.5), around * 0.9)
    wander = (fbm(rng, height, width, side / 2.5, 2) - 0.5) * 0.6 + (fbm(rng, height, width, side / 9, 5) - 0.5) * 0.7
    wander = wander * ragged
    border = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y)) / side
    rim = smoothstep(0.01, 0.13, border + wander * 0.17)
    return np.asarray((cloud + wander * 0.55 - 0.18) * rim - (1 - rim) * 0.1, np.float32)
