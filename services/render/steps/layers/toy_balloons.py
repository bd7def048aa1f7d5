"""Toy balloons on strings: round, shining on the light's side, glowing through on the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.balloons import Place, places
from services.render.steps.layers.board import Board, Pen, soft_edge
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, colors, custom, number


@dataclass(frozen=True, slots=True)
class Params:
    places: tuple[Place, ...] = custom((), places)
    inks: tuple[Color, ...] = colors("#ef7d74", "#f6c65b", "#7fb9a8", "#86a8d8", "#e7a6c0")
    string: Color = color("#b49a86")
    tail: float = number(5.0, 0, 12)  # the string's length in radii
    opacity: float = number(0.96, 0, 1)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    for at, (x, y, radius) in enumerate(params.places):
        ink = params.inks[at % len(params.inks)]
        _balloon(board, x * board.width, y * board.height, board.px(radius), ink, params, rng)


def _balloon(board: Board, x: float, y: float, radius: float, ink: Color, params: Params,
             rng: np.random.Generator) -> None:  # fmt: skip
    t = np.linspace(0, 1, 24)
    sway = np.sin(t * rng.uniform(4, 7) + rng.random() * 6) * 0.16 * t
    pen = Pen(board, int(y + radius), int(y + radius * (1.4 + params.tail)) + 2)
    pen.line(np.stack([x + sway * radius, y + radius * (1.28 + params.tail * t)], axis=1), max(0.7, radius * 0.02),
             np.asarray(params.string, np.float32))  # fmt: skip
    knot = [(0, 1.12), (0.11, 1.33), (-0.11, 1.33)]
    pen.polygon(np.array([(x + px * radius, y + py * radius) for px, py in knot]), np.asarray(ink, np.float32) * 0.85)
    pen.lay()
    top, left, reach = int(y - radius * 1.3), int(x - radius) - 3, int(radius * 2) + 7
    v = (np.arange(top, top + int(radius * 2.7), dtype=np.float32)[:, None] - y) / radius
    u = (np.arange(left, left + reach, dtype=np.float32)[None, :] - x) / radius
    v = np.asarray(np.where(v > 0, v / 1.2, v / 1.08), np.float32)  # a little longer below
    inside = 1 - np.hypot(u / (1 - 0.14 * np.clip(v, 0, 1) ** 2), v)
    side = 1.0 if board.light[0] * board.width >= x else -1.0
    depth = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
    lit = np.clip(0.55 + 0.30 * side * u - 0.25 * v, 0, 1)[..., None]
    base = np.asarray(ink, np.float32)
    colour = base * (0.72 + 0.36 * lit) + (1 - base) * 0.10 * (1 - depth)[..., None]
    shine = np.exp(-(((u - side * 0.36) / 0.20) ** 2) - ((v + 0.42) / 0.26) ** 2)
    glow = np.exp(-(((u + side * 0.45) / 0.35) ** 2) - ((v - 0.45) / 0.35) ** 2)
    colour = colour + (1 - colour) * (0.75 * shine + 0.16 * glow)[..., None]
    mask = soft_edge(np.asarray(inside * radius, np.float32), 0.9) * params.opacity
    board.over(np.clip(colour, 0, 1).astype(np.float32), mask, top, left)


LAYER = Layer(Params, paint)
