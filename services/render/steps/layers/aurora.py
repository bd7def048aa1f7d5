"""Northern lights: folded curtains, sharp at the foot, fading upwards through their colours in fine rays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, fbm, gradient, ridge
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Stops, number, stops, whole
from services.render.steps.pixels import smoothstep


@dataclass(frozen=True, slots=True)
class Params:
    y: float = number(0.42, 0, 1)  # the lowest curtain's foot
    tall: float = number(0.34, 0.02, 1)
    sway: float = number(0.10, 0, 0.5)
    count: int = whole(3, 1, 8)
    strength: float = number(0.75, 0, 1.5)
    colors: Stops = stops((0.0, "#9dffcf"), (0.45, "#46d7b0"), (1.0, "#7a5fd0"))


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    height, width = board.height, board.width
    y, _ = board.grid()
    for at in range(params.count):
        line = ridge(rng, width, board.px(0.8), 2) * params.sway + ridge(rng, width, board.px(0.16), 2) * 0.018
        foot = (params.y - 0.10 * at + line) * height
        tall = params.tall * height * (0.75 + 0.5 * fbm(rng, 2, width, board.px(0.3), 3)[0])
        up = (foot[None, :] - y) / tall[None, :]
        rays = 0.45 + 0.55 * smoothstep(0.3, 0.75, fbm(rng, 2, width, board.px(0.035), 3)[0])
        drift = smoothstep(0.36, 0.62, fbm(rng, 2, width, board.px(0.9), 2)[0])
        glow = np.where(up < 0, np.exp(-((up * 26) ** 2)), np.exp(-2.6 * up) * (1 - smoothstep(0.7, 1.5, up)))
        mask = params.strength * 0.85**at * glow * (rays * drift)[None, :]
        board.add_light(gradient(params.colors, np.clip(up, 0, 1)), np.asarray(mask, np.float32))


LAYER = Layer(Params, paint)
