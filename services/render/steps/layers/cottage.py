"""A small house with lit windows and smoke from its chimney: warmth far off in an evening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, fbm
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, number, point


@dataclass(frozen=True, slots=True)
class Params:
    at: tuple[float, float] = point(0.25, 0.7)  # the middle of its foot
    size: float = number(0.12, 0.01, 0.5)  # its width, in shares of the shorter side
    wall: Color = color("#5b4a63")
    side: Color = color("#493d58")
    roof: Color = color("#e9e6f5")
    window: Color = color("#ffd27a")
    smoke: float = number(0.5, 0, 1)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    unit = board.px(params.size)
    x, y = params.at[0] * board.width, params.at[1] * board.height
    pen = Pen(board, int(y - unit * 2), int(y + unit * 0.3))

    def shape(color_: Color, *points: tuple[float, float]) -> None:
        pen.polygon(
            np.array([(x + px * unit, y - py * unit) for px, py in points], np.float32), np.asarray(color_, np.float32)
        )

    shape(params.side, (0.26, 0.92), (0.36, 0.92), (0.36, 0.55), (0.26, 0.55))  # chimney
    shape(params.roof, (0.245, 0.96), (0.375, 0.96), (0.375, 0.91), (0.245, 0.91))
    shape(params.wall, (-0.5, 0), (0.1, 0), (0.1, 0.42), (-0.5, 0.42))
    shape(params.side, (0.1, 0), (0.5, 0.03), (0.5, 0.40), (0.3, 0.72), (0.1, 0.42))
    shape(params.roof, (-0.57, 0.37), (0.1, 0.37), (0.32, 0.79), (-0.36, 0.79))
    shape(params.roof, (0.08, 0.36), (0.14, 0.36), (0.33, 0.70), (0.52, 0.35), (0.57, 0.37), (0.33, 0.79), (0.29, 0.79))
    for px in (-0.40, -0.12):
        shape(params.window, (px, 0.13), (px + 0.14, 0.13), (px + 0.14, 0.30), (px, 0.30))
    shape(params.window, (0.25, 0.14), (0.36, 0.15), (0.36, 0.32), (0.25, 0.31))
    pen.lay()
    rows, columns = board.grid()
    for px in (-0.33, -0.05, 0.30):  # the windows' light on the air and on the snow
        distance = np.hypot(columns - x - px * unit, (rows - y + 0.2 * unit) * 1.2) / unit
        board.add_light(
            params.window, np.asarray(0.55 * np.exp(-distance * 3.2) + 0.12 * np.exp(-distance * 0.9), np.float32)
        )
    if params.smoke > 0:
        drift = fbm(rng, board.height, board.width, unit * 0.5, 4, stretch=0.4)
        up = np.clip((y - 0.97 * unit - rows) / (unit * 1.6), 0, 1)
        centre = x + 0.31 * unit + unit * (0.35 * up**1.5 + 0.12 * np.sin(up * 7) * up)
        plume = np.exp(-(((columns - centre) / (unit * (0.05 + 0.2 * up))) ** 2)) * (up > 0) * (1 - up) ** 1.3
        board.over(params.roof, np.clip(params.smoke * plume * (0.4 + drift), 0, 1).astype(np.float32))


LAYER = Layer(Params, paint)
