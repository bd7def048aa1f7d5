"""Continues the placed subject where the photo's side cut it: a shoulder goes on and rounds off into an arm.

Colours are the subject's own, mirrored at the cut along its outline, so that a seam or a lapel turns with it; the
outline goes on at its slope and falls off as a quarter of an ellipse. Paint follows: this need hold up under strokes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.params import number
from services.render.steps.pixels import Array, blur, clip, mix, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace

INSET = 3  # px; the outermost columns of a cut-out are unsure


@dataclass(frozen=True, slots=True)
class Params:
    reach: float = number(0.16, 0, 0.5)  # how far it goes on, in shares of the subject's width
    slope: float = number(1.1, 0, 3)  # steepest outline that is continued


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    layer, alpha = ws.need_layer()
    for cut in ws.cuts:
        if cut.side == "right":
            layer, alpha = _continued(layer, alpha, cut.column, params)
        else:
            column = alpha.shape[1] - 1 - cut.column
            flipped = _continued(layer[:, ::-1], alpha[:, ::-1], column, params)
            layer, alpha = (np.ascontiguousarray(a[:, ::-1]) for a in flipped)
    ws.layer, ws.layer_alpha = layer, alpha


def _continued(layer: Array, alpha: Array, column: int, params: Params) -> tuple[Array, Array]:
    """To the right of ``column``."""
    height, width = alpha.shape
    edge = min(column, width - 1) - INSET
    solid = np.flatnonzero(alpha[:, edge] > 0.5) if edge > 8 else np.zeros(0, int)
    if solid.size < 4:
        return layer, alpha
    top, bottom = int(solid[0]), int(solid[-1])
    wide = int((alpha.max(axis=0) > 0.5).sum())
    reach = min(params.reach * wide, 0.75 * (bottom - top + 1), float(edge - 1))
    count = min(int(reach), width - 1 - edge)
    if count < 2:
        return layer, alpha
    away = np.arange(1, count + 1)
    tops = _outline(alpha, edge, count, top, reach)
    slope = float(np.clip((top - tops[min(count, max(4, count // 2)) - 1]) / max(4, count // 2), 0.0, params.slope))
    round_off = 1 - np.sqrt(np.maximum(1 - (away / reach) ** 2, 0))
    drop = slope * away + (bottom - top) * round_off  # (count,) px
    y = np.arange(height, dtype=np.float32)[:, None]
    turn = np.minimum(drop, 0.3 * (bottom - top)) - (tops - top)
    rows = np.clip(np.rint(y - turn[None, :]).astype(int), 0, height - 1)
    colour = layer[rows, (edge - away)[None, :]]
    share = (away / reach)[None, :].astype(np.float32)
    soft = blur(colour, max(1.0, 0.06 * reach))
    colour = mix(colour, soft, np.broadcast_to(share, colour.shape[:2]) * 0.8) * (1 - 0.22 * share**2)[..., None]
    start = np.interp((y - drop[None, :]).ravel(), np.arange(height), alpha[:, edge]).reshape(height, count)
    end = 1 - smoothstep(bottom - 1.0, bottom + 1.0, y) if bottom < height - 3 else np.ones_like(y)
    out, cover = layer.copy(), alpha.copy()
    part = (slice(None), slice(edge + 1, edge + 1 + count))
    out[part], cover[part] = clip(colour), start * end
    cover[:, edge + 1 + count :] = 0
    return out, np.asarray(cover, np.float32)


def _outline(alpha: Array, edge: int, count: int, top: int, reach: float) -> Array:
    """(count,) the subject's upper row at each column going inwards from the edge; a raised hand is not followed."""
    inwards = alpha[:, edge - count : edge][:, ::-1] > 0.5
    rows = np.where(inwards.any(axis=0), inwards.argmax(axis=0), top)
    return np.asarray(np.clip(rows, top - 0.6 * reach, top + 0.6 * reach), np.float32)


STEP = Step(Params, run, cost=0.2)
