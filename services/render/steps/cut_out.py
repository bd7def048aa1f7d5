"""Finds the subject: U²-Net small on the whole photo, then again on the subject's box, where it sees twice as much.

Sets ``alpha`` (coarse). A photo that brings its own transparency is cut out already. Where nothing stands out, a soft
oval around the middle is taken: a medallion is a decent picture, a refusal is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.params import number
from services.render.steps.pixels import Array, blur, resize, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace

SIDE = 320  # the network's fixed input
FAINT = (
    0.6  # range of values below which a photo (a faded print, fog) is stretched for the network, which sees contrast
)
# ImageNet statistics, as U²-Net was trained with.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True, slots=True)
class Params:
    least: float = number(0.02, 0, 0.5)  # share of the photo below which a subject counts as not found


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo = ws.need_photo()
    height, width = photo.shape[:2]
    if ws.shape is not None and 0.02 < float((ws.shape < 0.1).mean()) < 0.98:
        ws.alpha = ws.shape.copy()
        return
    alpha = _saliency(photo, tools)
    box = _box(alpha)
    if box is not None:
        left, top, right, bottom = box
        if (right - left) * (bottom - top) < 0.9 * width * height:
            inner = _saliency(photo[top:bottom, left:right], tools)
            # The second look decides inside, but may not lose what the first was sure of.
            coarse = alpha[top:bottom, left:right]
            alpha = np.zeros_like(alpha)
            alpha[top:bottom, left:right] = np.maximum(inner, np.minimum(coarse, inner * 0.5 + 0.5) * (coarse > 0.9))
    share = float(alpha.mean())
    if box is None or share < params.least or share > 0.97:
        alpha = _oval(height, width)
        ws.found = False
    ws.alpha = alpha


def _saliency(photo: Array, tools: Tools) -> Array:
    height, width = photo.shape[:2]
    small = resize(photo, SIDE, SIDE)
    small = small / max(float(small.max()), 1e-6)
    low, high = (float(v) for v in np.percentile(small, (0.5, 99.5)))
    if high - low < FAINT:
        small = np.clip((small - low) / max(high - low, 0.1), 0, 1)
    out = tools.networks.cut_out(np.asarray((small - _MEAN) / _STD, np.float32))
    low, high = float(out.min()), float(out.max())
    if high - low < 0.2:  # flat: nothing stands out; stretching it would invent a subject
        return np.zeros((height, width), np.float32)
    return np.clip(resize((out - low) / (high - low), width, height), 0, 1)


def _box(alpha: Array) -> tuple[int, int, int, int] | None:
    """The subject's box with 8 % of air, or None."""
    height, width = alpha.shape
    rows, columns = np.flatnonzero((alpha > 0.5).any(axis=1)), np.flatnonzero((alpha > 0.5).any(axis=0))
    if rows.size < 8 or columns.size < 8:
        return None
    air_x, air_y = int(0.08 * (columns[-1] - columns[0])), int(0.08 * (rows[-1] - rows[0]))
    return (
        max(0, int(columns[0]) - air_x),
        max(0, int(rows[0]) - air_y),
        min(width, int(columns[-1]) + 1 + air_x),
        min(height, int(rows[-1]) + 1 + air_y),
    )


def _oval(height: int, width: int) -> Array:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = np.hypot((x - width / 2) / (0.42 * width), (y - height / 2) / (0.44 * height)).astype(np.float32)
    return blur(1 - smoothstep(0.72, 1.0, radius), 3)


STEP = Step(Params, run, cost=1.2)
