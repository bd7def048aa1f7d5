"""Brings an old print's colours back: each channel's own fading undone, or a sepia print made a clean black and white.

Dyes fade at different speeds (magenta outlasts cyan), so each channel has lost its own share of range: each is
stretched from its own percentiles, part of the way and within limits. A print of one hue has no colours to bring back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.params import number
from services.render.steps.pixels import Array, clip, luma, mix
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    strength: float = number(0.8, 0, 1)
    most: float = number(2.2, 1, 4)  # gain of a channel
    sepia: float = number(0.85, 0, 1)  # the share of a sepia print's tone that is taken away


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo = ws.need_photo()
    if one_hue(photo):
        gray = luma(photo)[..., None]
        photo = np.asarray(gray + (photo - gray) * (1 - params.sepia), np.float32)
        ws.monochrome = True
        low, high = (float(v) for v in np.percentile(luma(photo)[::4, ::4], (0.5, 99.5)))
        lows, highs = np.full(3, low, np.float32), np.full(3, high, np.float32)
    else:
        small = photo[::4, ::4].reshape(-1, 3)
        lows, highs = (np.asarray(v, np.float32) for v in np.percentile(small, (0.5, 99.5), axis=0))
    span = np.maximum(highs - lows, 1 / params.most)
    # Around the range's middle, where a limited gain doesn't reach its ends; a little air at both: an old print has
    # neither ink black nor paper white.
    ws.photo = mix(photo, clip(0.5 + (photo - (lows + highs) / 2) / span * 0.95), params.strength)


def one_hue(photo: Array) -> bool:
    """Whether the colour of (H, W, 3) follows from its light alone, as in a toned print."""
    small = photo[::8, ::8].reshape(-1, 3)
    light = luma(small)
    chroma = small - light[:, None]
    curve = np.stack([np.ones_like(light), light, light**2], axis=1)
    tone = curve @ np.linalg.lstsq(curve, chroma, rcond=None)[0]
    return float(np.abs(chroma - tone).mean()) < 0.014


STEP = Step(Params, run, cost=0.3)
