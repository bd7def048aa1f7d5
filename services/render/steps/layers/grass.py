"""Grass: tapering, bending blades from back to front; taller towards the sides, so that the middle stays free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, jitter
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, colors, number, whole
from services.render.steps.pixels import Array


@dataclass(frozen=True, slots=True)
class Params:
    y: float = number(0.9, 0.2, 1.4)  # where the back row stands
    end: float = number(1.06, 0.2, 1.6)  # where the front row stands
    tall: float = number(0.09, 0.005, 0.6)
    count: int = whole(1200, 1, 8000)
    wide: float = number(0.006, 0.0005, 0.05)
    sides: float = number(0.5, 0, 3)  # how much taller at the sides
    lean: float = number(0.25, -1, 1)
    back: tuple[Color, ...] = colors("#5f7d3f", "#4d6b38")
    fore: tuple[Color, ...] = colors("#86a64c", "#9dbb5c", "#6f9440")


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    low = int((min(params.y, params.end) - params.tall * (1.6 + params.sides)) * board.height)
    pen = Pen(board, low, board.height)
    for depth in np.sort(rng.random(params.count)):
        x = rng.uniform(-0.03, 1.03)
        tall = params.tall * (0.55 + 0.75 * rng.random()) * (0.65 + 0.6 * depth)
        tall *= 1 + params.sides * min(1.0, abs(x - 0.5) * 2) ** 2.5
        near = np.exp(-abs(x - board.light[0]) * 2.2)
        palette = params.fore if rng.random() < 0.15 + 0.75 * depth else params.back
        ink = jitter(rng, palette[rng.integers(len(palette))], 0.09) * (0.86 + 0.26 * near)
        foot = (params.y + (params.end - params.y) * depth) * board.height
        lean = rng.normal(params.lean * 0.5, 0.35)
        pen.polygon(
            blade(x * board.width, foot, tall * board.height, params.wide * board.px(1) * (0.5 + depth), lean), ink
        )
    pen.lay()


def blade(x: float, foot: float, tall: float, wide: float, lean: float) -> Array:
    """(N, 2) outline of a blade that bends by ``lean`` heights at its tip."""
    t = np.linspace(0, 1, 6, dtype=np.float32)
    spine_x = x + lean * tall * t**2
    spine_y = foot - tall * t * (1 - 0.12 * abs(lean) * t)
    half = wide * (1 - t) ** 0.7 / 2
    left = np.stack([spine_x - half, spine_y], axis=1)
    right = np.stack([spine_x + half, spine_y], axis=1)
    return np.concatenate([left, right[::-1]]).astype(np.float32)


LAYER = Layer(Params, paint)
