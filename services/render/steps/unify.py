"""Lets the subject belong to the painting: fine texture calmed, brush strokes, a breath of the scene's style.

The face gets a share of it; what it was stays in ``likeness``, for ``blend_face``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.face import ellipse
from services.render.steps.params import number, weights
from services.render.steps.pixels import guided_gray, luma, mix, resize
from services.render.steps.step import Step
from services.render.steps.strokes import neural, painted
from services.render.steps.workspace import Tools, Workspace

BUST = 0.14  # a bust's half head, in shares of the canvas's shorter side


@dataclass(frozen=True, slots=True)
class Params:
    style: tuple[float, ...] = weights(26, {0: 1.0})
    strength: float = number(0.25, 0, 1)
    face: float = number(0.6, 0, 1)  # the share of it that the face gets
    calm: float = number(0.5, 0, 1)
    brush: float = number(0.006, 0, 0.03)  # strokes on clothes, in shares of the canvas's shorter side; 0 is none
    loose: float = number(0.6, 0, 1)
    hue: float = number(0.05, 0, 1)
    side: float = number(0.5, 0.2, 1)  # the network's picture in shares of the layer


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    layer, alpha = ws.need_layer()
    rows, columns = np.flatnonzero((alpha > 0).any(axis=1)), np.flatnonzero((alpha > 0).any(axis=0))
    if rows.size < 16 or columns.size < 16:
        ws.likeness = layer
        return
    part = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    rgb = layer[part]
    height, width = rgb.shape[:2]
    guard = 1 - (1 - params.face) * ellipse(ws.need_face(), alpha.shape[0], alpha.shape[1], 0.45)[part]
    # Small heads (a whole child, siblings side by side) ask for a finer hand than a bust does.
    fine = float(np.clip(ws.need_face().ry / (BUST * min(alpha.shape)), 0.4, 1))
    light = luma(rgb)
    calm = guided_gray(light, radius=0.004 * min(alpha.shape) * fine, eps=0.0025)
    rgb = np.clip(rgb + ((calm - light) * params.calm * guard)[..., None], 0, 1)
    if params.brush > 0:
        rng = np.random.default_rng([ws.job.seed & 0xFFFFFFFF, 5])
        where = np.clip((guard - params.face) / max(1 - params.face, 1e-3), 0, 1) * alpha[part]
        brush, corner = params.brush * min(alpha.shape) * fine, (int(rows[0]), int(columns[0]))
        strokes = painted(rgb, rng, brush, 1.5, where=where, relief=0, corner=corner)
        rgb = mix(rgb, strokes, params.loose * where)
    if params.strength > 0:
        small = resize(rgb, max(32, round(width * params.side)), max(32, round(height * params.side)))
        styled = resize(tools.networks.stylize(np.clip(small, 0, 1), params.style), width, height)
        full = neural(rgb, styled, params.strength, params.hue)
        rgb = rgb + (full - rgb) * guard[..., None]
    out = layer.copy()
    out[part] = rgb
    ws.likeness = layer
    ws.layer = out


STEP = Step(Params, run, cost=1.8)
