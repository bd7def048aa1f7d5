"""What hangs over a cradle: stars, moons, clouds and hearts on threads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, jitter
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, colors, number, numbers
from services.render.steps.pixels import Array


@dataclass(frozen=True, slots=True)
class Params:
    at: tuple[float, ...] = numbers(0, 1)  # where threads hang
    low: float = number(0.42, 0.05, 1)  # the longest, at the sides
    high: float = number(0.16, 0.02, 1)  # the shortest, in the middle
    size: float = number(0.05, 0.005, 0.2)
    inks: tuple[Color, ...] = colors("#f7d774", "#fff4dc", "#e8b7c8", "#b9c7ea")
    thread: Color = color("#cfc4d6")
    shade: float = number(0.86, 0.3, 1)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    pen = Pen(board, 0, board.height)
    unit = board.px(params.size)
    for at, x in enumerate(params.at or (0.07, 0.18, 0.3, 0.7, 0.82, 0.93)):
        share = min(1.0, abs(x - 0.5) * 2)
        end = (params.high + (params.low - params.high) * share**1.2 + rng.normal(0, 0.02)) * board.height
        px = x * board.width
        pen.line(np.array([(px, 0), (px, end)]), max(0.7, unit * 0.03), np.asarray(params.thread, np.float32))
        shape = at % 3
        for height in (0.55, 1.0) if end > 0.25 * board.height else (1.0,):
            ink = jitter(rng, params.inks[rng.integers(len(params.inks))], 0.03)
            size = unit * (1.0 if height == 1.0 else 0.62) * rng.uniform(0.9, 1.1)
            _SHAPES[shape](pen, px, end * height, size, ink, params.shade)
            shape = (shape + 1) % 3
    pen.lay()


def _star(pen: Pen, x: float, y: float, size: float, ink: Array, shade: float) -> None:
    angle = np.arange(10) * np.pi / 5 - np.pi / 2
    reach = np.where(np.arange(10) % 2 == 0, 1.0, 0.50) * size
    points = np.stack([x + np.cos(angle) * reach, y + np.sin(angle) * reach], axis=1)
    pen.polygon(points, ink)
    for at in range(0, 10, 2):  # folded paper: one side of each ray in shade
        pen.polygon(np.array([points[at], points[at + 1], (x, y)]), ink * shade)


def _moon(pen: Pen, x: float, y: float, size: float, ink: Array, shade: float) -> None:
    t = np.linspace(-2.2, 2.2, 30)
    outer = np.stack([x - np.cos(t) * size, y + np.sin(t) * size], axis=1)
    s = np.linspace(1.75, -1.75, 30)
    inner = np.stack([x + 0.42 * size - np.cos(s) * size * 0.82, y + np.sin(s) * size * 0.82], axis=1)
    pen.polygon(np.concatenate([outer, inner]), ink)


def _cloud(pen: Pen, x: float, y: float, size: float, ink: Array, shade: float) -> None:
    for tone, shift in ((shade, 0.12), (1.0, 0.0)):
        for px, py, r in (
            (-0.75, 0.12, 0.46),
            (0.0, -0.12, 0.66),
            (0.72, 0.10, 0.50),
            (0.3, 0.2, 0.45),
            (-0.3, 0.2, 0.45),
        ):
            pen.dab(x + px * size, y + (py + shift) * size, r * size, r * size * 0.9, ink * tone)


_SHAPES = (_star, _moon, _cloud)

LAYER = Layer(Params, paint)
