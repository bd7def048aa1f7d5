"""The sun or the moon: a soft disc at the light's place, with maria when it is a moon, and a halo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, fbm, soft_edge
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, number
from services.render.steps.pixels import mix, smoothstep


@dataclass(frozen=True, slots=True)
class Params:
    radius: float = number(0.12, 0.01, 0.5)
    face: Color = color("#fff4d6")
    shade: Color = color("#e8d3a0")
    maria: float = number(0.0, 0, 1)
    edge: float = number(0.03, 0.002, 1)  # softness in radii
    halo: float = number(0.5, 0, 1.5)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    height, width = board.height, board.width
    y, x = board.grid()
    radius = board.px(params.radius)
    dx, dy = x - board.light[0] * width, y - board.light[1] * height
    distance = np.hypot(dx, dy)
    halo = np.exp(-np.maximum(distance - radius, 0) / (radius * 0.9)) * 0.6
    halo = halo + np.exp(-np.maximum(distance - radius, 0) / (radius * 0.22)) * 0.4
    board.add_light(board.light_color, np.asarray(params.halo * halo, np.float32))
    spots = smoothstep(0.47, 0.62, fbm(rng, height, width, radius * 0.95, 4)) * params.maria
    limb = np.clip(distance / radius, 0, 1) ** 3 * 0.35
    ink = mix(
        np.asarray(params.face, np.float32)[None, None],
        np.asarray(params.shade, np.float32)[None, None],
        np.clip(spots * 0.75 + limb, 0, 1)[..., None],
    )
    board.over(ink, soft_edge(radius - distance, max(0.8, radius * params.edge)))


LAYER = Layer(Params, paint)
