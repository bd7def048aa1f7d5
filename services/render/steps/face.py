"""Estimates where the head is, without a detector: skin-like and central parts of the cut-out, the upper ones first.

Sets ``face``. Used to protect (never to recognise): an estimate that is too large costs style, not likeness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.params import number
from services.render.steps.pixels import Array, blur, resize
from services.render.steps.step import Step
from services.render.steps.workspace import Face, Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    size: float = number(1.0, 0.5, 2.0)  # scales the estimate


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo, alpha = ws.need_photo(), ws.need_alpha()
    height, width = alpha.shape
    scale = 160 / max(height, width)
    w, h = max(8, round(width * scale)), max(8, round(height * scale))
    small, cover = resize(photo, w, h), np.clip(resize(alpha, w, h), 0, 1)
    rows, columns = np.flatnonzero((cover > 0.5).any(axis=1)), np.flatnonzero((cover > 0.5).any(axis=0))
    if rows.size == 0:
        ws.face = Face(width / 2, height * 0.4, width * 0.2, height * 0.22)
        return
    top, tall = float(rows[0]), float(rows[-1] - rows[0] + 1)
    left, wide = float(columns[0]), float(columns[-1] - columns[0] + 1)
    # A head fills a third to a half of a bust and a quarter of a sitting child.
    radius = max(4.0, 0.21 * min(tall, 1.35 * wide))
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    upper = np.exp(-0.5 * ((y - top - 1.05 * radius) / (0.30 * tall + 1)) ** 2)
    central = np.exp(-0.5 * ((x - left - wide / 2) / (0.45 * wide + 1)) ** 2)
    skin = np.full((h, w), 0.5, np.float32) if ws.monochrome else _skin(small)
    score = blur(np.asarray(cover * (0.12 + skin) * upper * central, np.float32), radius * 0.55)
    cy, cx = np.unravel_index(int(score.argmax()), score.shape)
    size = params.size / scale
    ws.face = Face((cx + 0.5) / scale, (cy + 0.5) / scale, radius * 0.86 * size, radius * 1.12 * size)


def _skin(rgb: Array) -> Array:
    """0..1: nearness to the skin locus in YCbCr (Chai & Ngan, 1999: Cb 77..127, Cr 133..173), which holds for light and
    dark skin alike."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    cb = 128 + 255 * (-0.169 * red - 0.331 * green + 0.5 * blue)
    cr = 128 + 255 * (0.5 * red - 0.419 * green - 0.081 * blue)
    return np.exp(-0.5 * (((cb - 106) / 14) ** 2 + ((cr - 150) / 11) ** 2)).astype(np.float32)


def ellipse(face: Face, height: int, width: int, soft: float = 0.35) -> Array:
    """(height, width) mask: 1 inside the head, falling to 0 over ``soft`` of its radius beyond."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot((x - face.x) / max(face.rx, 1), (y - face.y) / max(face.ry, 1))
    t = np.clip((1 + soft - distance) / soft, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


STEP = Step(Params, run, cost=0.2)
