"""Stars: many faint, few bright, the brightest with a small cross; fewer towards the horizon and the light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, number, whole


@dataclass(frozen=True, slots=True)
class Params:
    count: int = whole(420, 0, 4000)
    ink: Color = color("#fff6df")
    horizon: float = number(0.62, 0.1, 1)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    height, width = board.height, board.width
    unit = board.px(0.001)
    light = np.zeros((height, width), np.float32)
    for _ in range(params.count):
        x, y = rng.random() * width, rng.random() ** 1.3 * params.horizon * height
        size = unit * (0.55 + 2.6 * rng.random() ** 7)
        bright = (0.35 + 0.65 * rng.random()) * (1 - (y / (params.horizon * height)) ** 3)
        reach = int(size * 9) + 2
        top, left = int(y) - reach, int(x) - reach
        if top < 0 or left < 0 or top + 2 * reach >= height or left + 2 * reach >= width:
            continue
        yy = np.arange(top, top + 2 * reach + 1, dtype=np.float32)[:, None] - y
        xx = np.arange(left, left + 2 * reach + 1, dtype=np.float32)[None, :] - x
        near = np.exp(-(xx**2 + yy**2) / (2 * size**2)) + 0.12 * np.exp(-np.hypot(xx, yy) / (size * 2))
        if size > unit * 2:
            near = near + 0.5 * np.exp(-np.abs(xx) / (size * 2.2) - np.abs(yy) / (size * 0.3))
            near = near + 0.5 * np.exp(-np.abs(yy) / (size * 2.2) - np.abs(xx) / (size * 0.3))
        part = light[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
        np.maximum(part, (bright * near).astype(np.float32), out=part)
    board.add_light(params.ink, light)


LAYER = Layer(Params, paint)
