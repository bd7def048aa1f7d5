"""Things that float in light: snowflakes, fireflies, bokeh, dust. Soft dots, a few large and out of focus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, colors, number, whole, word


@dataclass(frozen=True, slots=True)
class Params:
    look: str = word("flake", "flake", "glow", "bokeh")
    count: int = whole(200, 1, 4000)
    size: float = number(0.004, 0.0005, 0.2)
    vary: float = number(0.6, 0, 1)
    top: float = number(0.0, -0.2, 1)
    bottom: float = number(1.0, 0, 1.2)
    strength: float = number(0.8, 0, 1)
    inks: tuple[Color, ...] = colors("#ffffff")


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    for _ in range(params.count):
        x = rng.random() * board.width
        y = (params.top + rng.random() * (params.bottom - params.top)) * board.height
        size = board.px(params.size) * (1 - params.vary + params.vary * 2.6 * rng.random() ** 4 + 0.3)
        ink = params.inks[rng.integers(len(params.inks))]
        strength = params.strength * rng.uniform(0.35, 1.0)
        reach = int(size * (6 if params.look == "glow" else 2)) + 2
        top, left = int(y) - reach, int(x) - reach
        yy = np.arange(top, top + 2 * reach + 1, dtype=np.float32)[:, None] - y
        xx = np.arange(left, left + 2 * reach + 1, dtype=np.float32)[None, :] - x
        distance = np.hypot(xx, yy) / size
        if params.look == "bokeh":
            mask = np.clip((1 - distance) * size / 2 + 0.5, 0, 1) * (0.55 + 0.45 * np.clip(distance, 0, 1) ** 3) * 0.6
        elif params.look == "glow":
            mask = np.exp(-((distance * 1.6) ** 2)) + 0.35 * np.exp(-distance * 0.9)
        else:
            mask = np.clip(1.35 - distance, 0, 1)
        fade = np.clip(reach / size - distance, 0, 1)
        board.over(ink, np.clip(mask * strength * fade, 0, 1).astype(np.float32), top, left)


LAYER = Layer(Params, paint)
