"""Shafts of light that fan out from the light's place: through leaves, through water, behind a poster's hero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, fbm
from services.render.steps.layers.layer import Layer
from services.render.steps.params import number
from services.render.steps.pixels import smoothstep


@dataclass(frozen=True, slots=True)
class Params:
    fine: float = number(0.10, 0.01, 1)  # a shaft's breadth, in shares of a half turn
    reach: float = number(1.1, 0.1, 3)  # how far they go, in shares of the shorter side
    strength: float = number(0.4, 0, 1)
    uneven: float = number(0.4, 0, 1)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    height, width = board.height, board.width
    y, x = board.grid()
    dx, dy = x - board.light[0] * width, y - board.light[1] * height
    turn = np.arctan2(dx, dy) / np.pi  # -1..1, the seam straight up
    count = 720
    shafts = smoothstep(0.40, 0.72, fbm(rng, 2, count, count * params.fine * 0.5, 3)[0])
    at = np.clip((turn + 1) / 2 * (count - 2), 0, count - 2)
    low = at.astype(int)
    beam = shafts[low] + (shafts[low + 1] - shafts[low]) * (at - low)
    fade = np.exp(-((np.hypot(dx, dy) / board.px(params.reach)) ** 2))
    dust = 1 - params.uneven * (fbm(rng, height, width, board.px(0.4), 4) - 0.2)
    board.add_light(board.light_color, np.asarray(np.clip(params.strength * beam * fade * dust, 0, 1), np.float32))


LAYER = Layer(Params, paint)
