"""Flowers in a meadow: dabs that grow towards the viewer; near ones have petals, a heart and a stem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, jitter
from services.render.steps.layers.grass import blade
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, colors, number, whole


@dataclass(frozen=True, slots=True)
class Params:
    y: float = number(0.7, 0, 1.3)
    end: float = number(1.0, 0, 1.4)
    count: int = whole(400, 1, 6000)
    size: float = number(0.02, 0.001, 0.1)  # of the nearest
    far: float = number(0.15, 0.02, 1)  # the farthest's size in shares of it
    petals: tuple[Color, ...] = colors("#ffffff", "#f6c5d3", "#f3d36b")
    heart: Color = color("#e9b44c")
    stem: Color = color("#5d7f3e")
    stems: float = number(0.0, 0, 0.4)  # stem height of the nearest
    sides: float = number(0.0, 0, 1)  # keeps them from the middle


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    pen = Pen(board, int((params.y - params.stems * 1.4 - 0.05) * board.height), board.height)
    for depth in np.sort(rng.random(params.count)):
        x = rng.uniform(-0.02, 1.02)
        if rng.random() < params.sides * (1 - min(1.0, abs(x - 0.5) * 2.2)):
            continue
        near = depth**1.6
        size = board.px(params.size) * (params.far + (1 - params.far) * near) * rng.uniform(0.7, 1.25)
        foot = (params.y + (params.end - params.y) * near) * board.height
        head = foot - params.stems * board.height * (0.4 + 0.6 * near) * rng.uniform(0.6, 1.25)
        px = x * board.width
        if params.stems > 0:
            lean = rng.normal(0, 0.12)
            pen.polygon(blade(px, foot, foot - head, size * 0.28, lean), jitter(rng, params.stem, 0.1))
            px += lean * (foot - head)
        _flower(pen, px, head, size, params, rng)
    pen.lay()


def _flower(pen: Pen, x: float, y: float, size: float, params: Params, rng: np.random.Generator) -> None:
    ink = jitter(rng, params.petals[rng.integers(len(params.petals))], 0.05)
    if size < 4:
        pen.dab(x, y, size, size * 0.75, ink)
        return
    tilt, turn, count = rng.uniform(0.55, 0.95), rng.random() * 2 * np.pi, int(rng.integers(5, 8))
    for shade, reach in ((0.86, 0.62), (1.0, 0.52)):  # a darker whorl under a lighter one
        for petal in range(count):
            angle = turn + (petal + (0.5 if shade < 1 else 0)) * 2 * np.pi / count
            pen.dab(
                x + np.cos(angle) * size * reach,
                y + np.sin(angle) * size * reach * tilt,
                size * 0.5,
                size * 0.5 * tilt,
                np.clip(jitter(rng, ink, 0.03, 0.01) * shade, 0, 1),
            )
    pen.dab(x, y, size * 0.32, size * 0.3 * tilt, jitter(rng, params.heart, 0.06))


LAYER = Layer(Params, paint)
