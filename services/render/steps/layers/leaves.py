"""Leaves or petals, loose: falling through the air, or lying in a heap at the bottom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, jitter, ridge
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, colors, number, whole, word
from services.render.steps.pixels import Array


@dataclass(frozen=True, slots=True)
class Params:
    lie: str = word("fall", "fall", "heap")
    shape: str = word("leaf", "leaf", "petal")
    y: float = number(0.05, -0.1, 1.3)
    end: float = number(0.9, 0, 1.4)
    rise: float = number(0.02, 0, 0.3)  # how uneven a heap's crest is
    sides: float = number(0.0, 0, 0.4)  # how much higher a heap's ends are
    count: int = whole(60, 1, 4000)
    size: float = number(0.02, 0.002, 0.2)
    inks: tuple[Color, ...] = colors("#c8642b", "#e09a3e", "#a8452a", "#d9b24c")
    shade: float = number(0.25, 0, 1)  # how much darker the lowest lie
    soften: float = number(0.0, 0, 12)
    opacity: float = number(1.0, 0, 1)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    pen = Pen(board, int((params.y - params.rise - params.sides - 0.1) * board.height), board.height)
    crest = ridge(rng, board.width, board.px(0.5), 3) * params.rise
    for depth in np.sort(rng.random(params.count)):
        x = rng.uniform(-0.04, 1.04)
        y = params.y + (params.end - params.y) * depth
        size = board.px(params.size) * rng.uniform(0.6, 1.3)
        bright = rng.uniform(0.9, 1.08)
        if params.lie == "heap":
            column = min(board.width - 1, max(0, int(x * board.width)))
            y += (crest[column] - params.sides * (abs(x - 0.5) * 2) ** 2) * (1 - depth)
            size *= 0.7 + 0.7 * depth
            bright *= 1 - params.shade * (1 - depth) * rng.uniform(0.3, 1.2)
        ink = np.clip(jitter(rng, params.inks[rng.integers(len(params.inks))], 0.09, 0.03) * bright, 0, 1)
        centre = np.array([x * board.width, y * board.height])
        _leaf(pen, centre, size, ink, params.shape, rng)
    pen.lay(params.opacity, params.soften)


def _leaf(pen: Pen, centre: Array, size: float, ink: Array, shape: str, rng: np.random.Generator) -> None:
    turn, squash = rng.random() * 2 * np.pi, rng.uniform(0.35, 1.0)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    t = np.linspace(0, np.pi, 7)
    along, half = -np.cos(t), np.sin(t) ** (0.9 if shape == "leaf" else 0.5) * (0.42 if shape == "leaf" else 0.6)
    upper = np.stack([along, -half * squash], axis=1) @ spin.T * size + centre
    lower = np.stack([along, half * squash], axis=1) @ spin.T * size + centre
    pen.polygon(np.concatenate([upper, lower[::-1]]), ink * 0.9)
    pen.polygon(
        np.concatenate([upper, (np.stack([along, along * 0], axis=1) @ spin.T * size + centre)[::-1]]),
        np.clip(ink * 1.08, 0, 1),
    )
    if shape == "leaf" and size > 6:
        vein = np.array([[-1.25, 0], [0.9, 0]]) @ spin.T * size + centre
        pen.line(vein, max(0.6, size * 0.05), ink * 0.72)


LAYER = Layer(Params, paint)
