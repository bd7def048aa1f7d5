"""A rainbow: an arc of soft bands, fainter towards its feet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, gradient
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Stops, number, point, stops
from services.render.steps.pixels import smoothstep


@dataclass(frozen=True, slots=True)
class Params:
    at: tuple[float, float] = point(0.5, 0.72)  # the circle's middle
    radius: float = number(0.62, 0.05, 2)  # outer, in shares of the shorter side
    wide: float = number(0.13, 0.01, 0.5)
    ends: float = number(0.66, 0, 1.5)  # where its feet dissolve, fraction of the height
    opacity: float = number(0.6, 0, 1)
    # From the outside in, as light refracts; paler than the spectrum, as a picture book has it.
    colors: Stops = stops(
        (0.0, "#f0787c"), (0.2, "#f7ab6b"), (0.4, "#f9e08a"), (0.58, "#93cf8f"), (0.78, "#76aee2"), (1.0, "#a48bd6")
    )


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    y, x = board.grid()
    distance = np.hypot(x - params.at[0] * board.width, y - params.at[1] * board.height)
    across = (board.px(params.radius) - distance) / board.px(params.wide)
    band = smoothstep(0.0, 0.16, across) * (1 - smoothstep(0.84, 1.0, across))
    feet = 1 - smoothstep(params.ends - 0.16, params.ends, y / board.height)
    board.over(gradient(params.colors, np.clip(across, 0, 1)), np.asarray(band * feet * params.opacity, np.float32))
    # Inside the arc the sky is a little lighter (the drops send some of every colour there).
    inside = smoothstep(0.9, 2.2, across) * feet
    board.add_light((1.0, 1.0, 1.0), np.asarray(inside * 0.10 * params.opacity, np.float32))


LAYER = Layer(Params, paint)
