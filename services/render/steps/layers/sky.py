"""A sky: a vertical gradient, uneven as a wash is, brighter towards the light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, fbm, gradient
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, Stops, number, stops
from services.render.steps.params import colors as palette


@dataclass(frozen=True, slots=True)
class Params:
    colors: Stops = stops((0.0, "#6fa8dc"), (1.0, "#f4f1e8"))
    uneven: float = number(0.06, 0, 0.5)
    glow: float = number(0.5, 0, 1.5)  # light around the light's place
    halo: tuple[Color, ...] = palette()  # the glow's colour where it is not the light's
    reach: float = number(0.45, 0.05, 2)  # how far it reaches, in shares of the shorter side


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    height, width = board.height, board.width
    y, x = board.grid()
    wash = fbm(rng, height, width, board.px(0.5), 4, stretch=3.0) - 0.5
    board.rgb[:] = gradient(params.colors, np.clip(y / height + wash * params.uneven * 2, 0, 1))
    board.alpha[:] = 1
    distance = np.hypot(x - board.light[0] * width, y - board.light[1] * height) / board.px(params.reach)
    halo = 0.7 * np.exp(-distance * 1.6) + 0.3 * np.exp(-((distance / 1.6) ** 2))
    board.add_light(
        params.halo[0] if params.halo else board.light_color,
        np.asarray(params.glow * halo * (1 + wash * 0.6), np.float32),
    )


LAYER = Layer(Params, paint)
