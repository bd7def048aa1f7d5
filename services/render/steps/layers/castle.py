"""A small castle far off: towers with pointed roofs, lit windows and flags, one side in shade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, number, point
from services.render.steps.pixels import Array

# x, width, wall's height, roof's height, in shares of the castle's width; back to front.
_TOWERS = (
    (0.05, 0.16, 0.86, 0.34),
    (-0.17, 0.12, 0.66, 0.28),
    (0.25, 0.12, 0.62, 0.26),
    (-0.33, 0.15, 0.50, 0.30),
    (0.38, 0.14, 0.44, 0.26),
    (0.12, 0.11, 0.46, 0.24),
)


@dataclass(frozen=True, slots=True)
class Params:
    at: tuple[float, float] = point(0.78, 0.62)  # the middle of its foot
    size: float = number(0.3, 0.02, 1)
    wall: Color = color("#f3d9e6")
    shade: Color = color("#b99acb")
    roof: Color = color("#7c6bb5")
    window: Color = color("#ffe3a0")
    flag: Color = color("#f58ca0")
    glow: float = number(0.4, 0, 1)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    unit, x, y = board.px(params.size), params.at[0] * board.width, params.at[1] * board.height
    pen = Pen(board, int(y - unit * 1.5), int(y + unit * 0.1))
    lit_left = board.light[0] < params.at[0]
    wall, shade, roof = (np.asarray(c, np.float32) for c in (params.wall, params.shade, params.roof))

    def shape(ink: Array, *points: tuple[float, float]) -> None:
        pen.polygon(np.array([(x + px * unit, y - py * unit) for px, py in points], np.float32), ink)

    def box(ink: Array, left: float, low: float, right: float, high: float) -> None:
        shape(ink, (left, low), (right, low), (right, high), (left, high))

    windows: list[tuple[float, float]] = []
    for px, wide, tall, cone in _TOWERS:
        half = wide / 2
        middle = px + (0.10 if lit_left else -0.10) * wide
        left, right = (wall, shade) if lit_left else (shade, wall)
        box(left, px - half, 0, middle, tall)
        box(right, middle, 0, px + half, tall)
        box(wall * 0.95, px - half * 1.15, tall - 0.03, px + half * 1.15, tall + 0.01)
        shape(roof * (1.12 if lit_left else 0.85), (px - half * 1.25, tall), (middle, tall), (px, tall + cone))
        shape(roof * (0.85 if lit_left else 1.12), (middle, tall), (px + half * 1.25, tall), (px, tall + cone))
        shape(np.asarray(params.flag, np.float32), (px, tall + cone + 0.10), (px + 0.08, tall + cone + 0.075),
              (px, tall + cone + 0.05))  # fmt: skip
        pole = [(x + px * unit, y - (tall + cone + up) * unit) for up in (-0.01, 0.10)]
        pen.line(np.array(pole), max(0.7, unit * 0.006), roof)
        windows.append((px, tall - 0.12))
    box(wall, -0.44, 0, 0.06, 0.26)
    box(shade * 1.06, 0.06, 0, 0.46, 0.24)
    for step in np.arange(-0.44, 0.44, 0.08):  # battlements
        box(wall if step < 0.04 else shade * 1.06, step, 0.25, step + 0.045, 0.295)
    gate = np.asarray(params.window, np.float32) * 0.75
    t = np.linspace(0, np.pi, 12)
    shape(gate, (0.07, 0), *((-0.01 + 0.08 * float(np.cos(a)), 0.10 + 0.08 * float(np.sin(a))) for a in t), (-0.09, 0))
    for px, py in (*windows, (-0.30, 0.15), (0.28, 0.14)):
        box(np.asarray(params.window, np.float32), px - 0.016, py, px + 0.016, py + 0.055)
    pen.lay()
    rows, columns = board.grid()
    for px, py in windows[:3]:
        distance = np.hypot(columns - x - px * unit, rows - y + (py + 0.03) * unit) / unit
        board.add_light(params.window, np.asarray(params.glow * np.exp(-distance * 9), np.float32))


LAYER = Layer(Params, paint)
