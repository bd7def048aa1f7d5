"""Takes a share of the light's colour out of the photo: shades-of-gray (Finlayson & Trezzi, 2004, p = 6), limited.

A share, because a warm evening was meant to be warm, and because what fills the frame (a coat) passes for light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.params import number
from services.render.steps.pixels import clip
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    strength: float = number(0.25, 0, 1)  # more of it turns skin green beside a coat that fills the photo
    warmth: float = number(0.0, -0.2, 0.2)
    most: float = number(1.25, 1, 2)  # gain of a channel


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo = ws.need_photo()
    if ws.monochrome:
        return
    small = photo[::4, ::4].reshape(-1, 3)
    usable = small[(small.max(axis=1) < 0.98) & (small.min(axis=1) > 0.02)]
    if len(usable) < 64:
        return
    norm = np.power(np.mean(usable**6, axis=0), 1 / 6)
    gain = np.clip(norm.mean() / norm, 1 / params.most, params.most) ** params.strength
    gain = gain * np.array([1 + params.warmth, 1 + params.warmth * 0.25, 1 - params.warmth])
    ws.photo = clip((photo * (gain / gain.max() ** 0.5)).astype(np.float32))


STEP = Step(Params, run, cost=0.2)
