"""Water plants: tall wavy ribbons in tufts that rise from the ground, leaning with one current."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, jitter
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, colors, number, whole


@dataclass(frozen=True, slots=True)
class Params:
    y: float = number(1.02, 0.2, 1.4)  # where they stand
    tall: float = number(0.30, 0.01, 1.2)
    count: int = whole(14, 1, 400)  # tufts
    ribbons: int = whole(6, 1, 40)  # of one tuft
    wide: float = number(0.018, 0.001, 0.1)
    clear: float = number(0.4, 0, 0.9)
    wave: float = number(0.06, 0, 0.5)
    inks: tuple[Color, ...] = colors("#2f8f7d", "#3fa98a", "#257a78", "#65bd8c")
    opacity: float = number(1.0, 0, 1)
    soften: float = number(0.0, 0, 12)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    pen = Pen(board, int((params.y - params.tall * 1.5) * board.height), board.height)
    unit = board.px(1)
    t = np.linspace(0, 1, 14)
    phase = rng.random() * 6
    for _ in range(params.count):
        middle = rng.uniform(-0.02, 1.02)
        if abs(middle - 0.5) < params.clear / 2:
            continue
        # Taller at the sides: a frame for what is in the middle.
        scale = rng.uniform(0.5, 1.0) * (0.55 + 0.9 * min(1.0, abs(middle - 0.5) * 2) ** 1.5)
        for _ in range(params.ribbons):
            tall = params.tall * board.height * scale * rng.uniform(0.45, 1.1)
            x = middle * board.width + rng.normal(0, 0.022) * unit
            lean = rng.normal(0.0, 0.10) * tall
            swing = np.sin(phase + x / unit * 9 + t * rng.uniform(4, 6.5)) * params.wave * unit * t
            spine = np.stack([x + lean * t**1.6 + swing, params.y * board.height - tall * t], axis=1)
            half = params.wide * unit * rng.uniform(0.6, 1.1) * (1 - t) ** 0.55 / 2
            half = half * (1 + 0.22 * np.sin(t * 24 + x))
            ink = jitter(rng, params.inks[rng.integers(len(params.inks))], 0.09)
            left, right = spine - np.stack([half, 0 * half], axis=1), spine + np.stack([half, 0 * half], axis=1)
            pen.polygon(np.concatenate([left, right[::-1]]), ink)
            pen.polygon(np.concatenate([left, spine[::-1]]), np.clip(ink * 1.12, 0, 1))
    pen.lay(params.opacity, params.soften)


LAYER = Layer(Params, paint)
