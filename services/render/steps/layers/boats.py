"""Small sailing boats with their reflections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.balloons import Place, places
from services.render.steps.layers.board import Board, Pen
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, custom


@dataclass(frozen=True, slots=True)
class Params:
    places: tuple[Place, ...] = custom((), places)  # x, y of the waterline, height: shares
    sail: Color = color("#fff8ea")
    shade: Color = color("#e6cfc4")
    hull: Color = color("#8a5a4d")


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    for x0, y0, size in params.places:
        x, y, unit = x0 * board.width, y0 * board.height, board.px(size)
        for flip, opacity, soften in ((-1, 0.28, unit * 0.03), (1, 1.0, 0.0)):
            pen = Pen(board, int(y - unit * 1.1), int(y + unit * 1.1))

            def shape(
                ink: Color,
                *points: tuple[float, float],
                pen: Pen = pen,
                flip: int = flip,
                x: float = x,
                y: float = y,
                unit: float = unit,
            ) -> None:
                at = np.array([(x + px * unit, y - flip * py * unit) for px, py in points], np.float32)
                pen.polygon(at, np.asarray(ink, np.float32))

            shape(params.sail, (-0.02, 0.12), (-0.02, 0.98), (-0.20, 0.50), (-0.34, 0.14))
            shape(params.shade, (0.02, 0.14), (0.02, 0.86), (0.14, 0.42), (0.27, 0.14))
            shape(params.hull, (-0.36, 0.10), (0.34, 0.10), (0.22, -0.02), (-0.26, -0.02))
            pen.lay(opacity, soften)


LAYER = Layer(Params, paint)
