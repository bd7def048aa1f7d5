"""Softens what lies behind the subject as a wide aperture would: bright spots bloom, the subject does not bleed out.

The blur takes colours from the background only (normalised by the inverse cut-out), so the subject casts no smear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.params import number
from services.render.steps.pixels import Array, blur, clip, luma, mix, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    radius: float = number(0.016, 0.002, 0.06)  # in shares of the longer side
    bloom: float = number(0.6, 0, 2)
    dim: float = number(0.08, 0, 0.5)


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo, alpha = ws.need_photo(), ws.need_alpha()
    if ws.backdrop is None:
        raise RuntimeError("refine keeps the photo's own backdrop")
    back = ws.backdrop
    height, width = alpha.shape
    sigma = params.radius * max(height, width)
    weight = (1 - smoothstep(0.02, 0.5, blur(alpha, 2))) + 1e-4
    weight = weight * (1 + params.bloom * 6 * smoothstep(0.75, 1.0, luma(back)))
    soft = _lens(back * weight[..., None], sigma) / np.maximum(_lens(weight, sigma), 1e-5)[..., None]
    soft = clip(soft * (1 - params.dim))
    # What stands on the same ground as the subject is nearly as sharp as the subject.
    rows = np.flatnonzero((alpha > 0.5).any(axis=1))
    ground = smoothstep(0.80, 1.15, np.linspace(0, 1, height, dtype=np.float32))[:, None] if rows.size else 0.0
    soft = mix(soft, back, np.broadcast_to(np.asarray(ground, np.float32) * 0.25, (height, width)))
    ws.picture = clip(mix(soft, photo, alpha))


def _lens(a: Array, sigma: float) -> Array:
    """Nearer to a disc than a Gaussian is: two box-like passes through a steepened Gaussian."""
    return blur(blur(a, sigma * 0.75), sigma * 0.66)


STEP = Step(Params, run, cost=1.0)
