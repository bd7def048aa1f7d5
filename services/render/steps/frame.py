"""Mounts the picture: a mat with a fine line, a deckled sheet, or a print with round corners. The canvas keeps its
size; the mount covers its border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import fbm
from services.render.steps.params import Color, color, number, word
from services.render.steps.pixels import Array, blur, clip, mix, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    look: str = word("mat", "mat", "deckle")
    width: float = number(0.035, 0.005, 0.15)  # of the mount, in shares of the shorter side
    corner: float = number(0.0, 0, 0.5)  # radius, likewise
    paper: Color = color("#fbf7ee")
    line: float = number(0.0, 0, 1)  # strength of a fine line around the opening
    ink: Color = color("#8d8474")
    bevel: float = number(0.4, 0, 1)  # the opening's own small shadow on the picture


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    picture = ws.need_picture()
    height, width = picture.shape[:2]
    unit = min(height, width)
    inside = _inside(height, width, params.width * unit, params.corner * unit)
    if params.look == "deckle":  # a torn sheet: the same for all, as paper is
        rng = np.random.default_rng(5)
        inside = inside + (fbm(rng, height, width, unit * 0.10, 5, gain=0.62) - 0.5) * params.width * unit * 1.5
    opening = smoothstep(-0.8, 0.8, inside)
    if params.bevel > 0:
        shade = 1 - blur(np.roll(opening, (2, 2), axis=(0, 1)), 0.006 * unit)
        picture = picture * (1 - 0.5 * params.bevel * shade)[..., None]
    paper = np.broadcast_to(np.asarray(params.paper, np.float32), picture.shape)
    out = mix(paper, picture, opening)
    if params.line > 0:
        away, thick = -0.32 * params.width * unit, max(0.7, 0.0011 * unit)
        stroke = np.clip(1.2 - np.abs(inside - away) / thick, 0, 1) * params.line
        out = mix(out, np.broadcast_to(np.asarray(params.ink, np.float32), out.shape), stroke)
    ws.picture = clip(out)


def _inside(height: int, width: int, margin: float, corner: float) -> Array:
    """Signed distance (H, W) in px to a rounded rectangle's border, positive inside."""
    y = np.abs(np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None]
    x = np.abs(np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :]
    dy, dx = y - (height / 2 - margin - corner), x - (width / 2 - margin - corner)
    outer = np.hypot(np.maximum(dy, 0), np.maximum(dx, 0))
    return np.asarray(corner - outer - np.minimum(np.maximum(dy, dx), 0), np.float32)


STEP = Step(Params, run, cost=0.2)
