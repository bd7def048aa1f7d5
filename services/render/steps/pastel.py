"""Draws the photo in soft pastels: chalk that skips the toned paper's valleys, one calm veil of colour behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps import hatch, sheet, strokes
from services.render.steps.layers.board import fbm, gradient
from services.render.steps.oils import enlarged
from services.render.steps.params import Color, Stops, color, number, stops
from services.render.steps.pixels import Array, blur, clip, luma, mix, resize, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    paper: Color = color("#a8937f")
    veil: Stops = stops((0.0, "#7d9fb4"), (0.5, "#b9c3c4"), (1.0, "#ecc6a6"))  # behind, from top to bottom
    veiling: float = number(0.75, 0, 1)  # the share of it against the photo's own background
    brush: float = number(0.011, 0.002, 0.05)  # widest stroke on the subject, in shares of the longer side
    colour: float = number(1.3, 0.5, 2)
    chalk: float = number(0.75, 0, 1)  # how much of the paper's grain shows through
    spread: float = number(0.20, 0.02, 0.5)


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo, alpha, face = enlarged(ws)
    height, width = alpha.shape
    side = max(height, width)
    rng = np.random.default_rng([ws.job.seed & 0xFFFFFFFF, 37])
    near = smoothstep(0.15, 0.85, alpha)
    rich = _rich(photo, params.colour)
    body = mix(rich, strokes.painted(rich, rng, params.brush * side, 1.5, 0.0, where=np.clip(near + 0.05, 0, 1)), 0.9)
    behind = _veil(photo if ws.backdrop is None else resize(ws.backdrop, width, height), near, params, side, rng)
    drawn = mix(behind, body, near)
    reach = sheet.drawn(rng, near, face, params.spread, 0.9)
    streak = hatch.strokes(rng, height, width, 55, side / 150) - 0.5
    pressure = mix(smoothstep(0.0, 0.35, reach + streak * 0.5) * 0.86, smoothstep(-0.05, 0.15, reach), near)
    # Light is what chalk adds, so light lies thick; in the darks the sheet does half of the work.
    pressure = pressure * (0.74 + 0.26 * smoothstep(0.1, 0.7, luma(drawn)))
    grain = hatch.tooth(rng, height, width, side / 230) + streak * 0.30
    cover = smoothstep(-0.10, 0.16, pressure * 1.05 - 0.28 - grain * params.chalk * 0.95 + 0.28 * (1 - params.chalk))
    paper = np.asarray(params.paper, np.float32) * (0.94 + 0.12 * grain[..., None])
    picture = mix(np.asarray(paper, np.float32), drawn, cover)
    # The last strokes: pale chalk on the highest lights of the subject, along one hand's direction.
    lights = smoothstep(0.66, 0.92, luma(body)) * near * smoothstep(0.05, 0.2, streak)
    ws.picture = clip(picture + (1 - picture) * (0.30 * lights)[..., None])
    ws.likeness = clip(rich * (1 + 0.10 * (grain - 0.5) * params.chalk)[..., None])
    ws.face = face


def _rich(photo: Array, colour: float) -> Array:
    gray = luma(photo)[..., None]
    return clip(0.06 + 0.94 * (gray + (photo - gray) * colour))


def _veil(whole: Array, near: Array, params: Params, side: int, rng: np.random.Generator) -> Array:
    height, width = near.shape
    weight = 1 - near + 1e-3
    own = blur(whole * weight[..., None], 0.03 * side) / blur(weight, 0.03 * side)[..., None]
    t = np.linspace(0, 1, height, dtype=np.float32)[:, None] + (fbm(rng, height, width, side / 2, 3) - 0.5) * 0.8
    veil = mix(clip(own), gradient(params.veil, np.clip(t, 0, 1)), params.veiling)
    return mix(veil, strokes.painted(veil, rng, 0.03 * side, 0.8, 0.0), 0.85)


STEP = Step(Params, run, cost=3.0)
