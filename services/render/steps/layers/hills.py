"""A range of hills: a ridge of fractal noise, textured slopes, light along the crest, mist in the valley before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, fbm, gradient, ridge, soft_edge
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, Stops, color, number, stops, whole
from services.render.steps.pixels import smoothstep


@dataclass(frozen=True, slots=True)
class Params:
    y: float = number(0.6, -0.2, 1.4)
    rise: float = number(0.05, 0, 0.6)
    size: float = number(0.5, 0.02, 4)
    rough: int = whole(3, 1, 7)  # octaves of the ridge
    colors: Stops = stops((0.0, "#6b8f5a"), (1.0, "#3f5f3c"))
    depth: float = number(0.2, 0.01, 1)  # over which ``colors`` runs down the slope
    texture: float = number(0.10, 0, 0.6)
    grain: float = number(0.05, 0.004, 1)
    rim: float = number(0.25, 0, 1.5)
    mist: float = number(0.0, 0, 1)
    mist_color: Color = color("#ffffff")
    tilt: float = number(0.0, -0.5, 0.5)  # the right end lower by this
    bowl: float = number(0.0, -0.5, 0.5)  # the middle lower by this
    soft: float = number(1.2, 0.3, 40)  # px of the ridge's edge


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    height, width = board.height, board.width
    y, x = board.grid()
    u = x[0] / width - 0.5
    line = params.y + params.tilt * u + params.bowl * (0.25 - u**2) * 4
    line = (line - params.rise * ridge(rng, width, board.px(params.size), params.rough)) * height
    below = y - line[None, :]
    t = np.clip(below / (params.depth * height), 0, 1)
    patches = fbm(rng, height, width, board.px(params.grain) * 3, 5, stretch=2.5) - 0.5
    ink = gradient(params.colors, np.clip(t + patches * 0.7 * min(1.0, params.texture * 4), 0, 1))
    ink *= (1 + params.texture * 2 * patches)[..., None]
    # The crest catches light where it faces the light's side, stronger near to it.
    slope = np.gradient(line)
    side = np.clip(0.6 - slope * np.tanh((u - (board.light[0] - 0.5)) * 8) * 1.5, 0.1, 1.4)
    near = np.exp(-np.abs(u - (board.light[0] - 0.5)) * 1.6)
    crest = np.exp(-np.maximum(below, 0) / (0.016 * height)) * (side * near)[None, :]
    ink = ink + (1 - np.clip(ink, 0, 1)) * (params.rim * crest)[..., None] * np.asarray(board.light_color, np.float32)
    if params.mist > 0:
        drift = 0.75 + 0.9 * (fbm(rng, height, width, board.px(0.3), 3, stretch=5) - 0.5)
        fog = (params.mist * smoothstep(0.1, 1.0, t) * drift)[..., None]
        ink = ink + (np.asarray(params.mist_color, np.float32) - ink) * np.clip(fog, 0, 1)
    board.over(np.clip(ink, 0, 1).astype(np.float32), soft_edge(below, params.soft))


LAYER = Layer(Params, paint)
