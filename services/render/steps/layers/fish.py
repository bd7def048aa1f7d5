"""Small round fish, striped, swimming in loose schools."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, jitter
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, colors, number, whole


@dataclass(frozen=True, slots=True)
class Params:
    count: int = whole(9, 1, 200)
    size: float = number(0.045, 0.003, 0.3)  # half a fish's length
    vary: float = number(0.5, 0, 1)
    top: float = number(0.2, 0, 1)
    bottom: float = number(0.75, 0, 1)
    clear: float = number(0.45, 0, 0.9)  # share of the middle that stays free
    inks: tuple[Color, ...] = colors("#f59a4a", "#f7cf5a", "#ef6f6c", "#f4f1e4")
    stripe: Color = color("#fff6e6")
    opacity: float = number(1.0, 0, 1)
    soften: float = number(0.0, 0, 12)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    pen = Pen(board, 0, board.height)
    for _ in range(params.count):
        x = rng.uniform(0.02, 0.98)
        if abs(x - 0.5) < params.clear / 2:
            x = 0.5 + np.sign(x - 0.5 or 1) * rng.uniform(params.clear / 2, 0.48)
        y = rng.uniform(params.top, params.bottom)
        size = board.px(params.size) * (1 - params.vary * rng.random())
        facing = 1.0 if rng.random() < 0.5 else -1.0
        ink = jitter(rng, params.inks[rng.integers(len(params.inks))], 0.05)
        _fish(pen, x * board.width, y * board.height, size, facing, ink, params.stripe, rng)
    pen.lay(params.opacity, params.soften)


def _fish(pen: Pen, x: float, y: float, size: float, facing: float, ink: np.ndarray, stripe: Color,
          rng: np.random.Generator) -> None:  # fmt: skip
    tilt = rng.normal(0, 0.12)

    def shape(color_: np.ndarray, *points: tuple[float, float]) -> None:
        at = np.array([(facing * px, py + tilt * px) for px, py in points], np.float32) * size + (x, y)
        pen.polygon(at, np.clip(color_, 0, 1))

    dark = ink * 0.78
    shape(dark, (-0.75, 0), (-1.35, -0.48), (-1.2, 0), (-1.35, 0.48))
    shape(dark, (-0.35, -0.45), (-0.05, -0.86), (0.4, -0.45))
    shape(dark, (-0.2, 0.45), (-0.1, 0.78), (0.25, 0.45))
    t = np.linspace(0, 2 * np.pi, 26)
    across, high = np.cos(t) * 0.95, np.sin(t) * 0.56 * (1 - 0.18 * np.cos(t))
    shape(ink, *zip(across.tolist(), high.tolist(), strict=True))
    belly = np.clip(high, 0.05, None)
    shape(ink * 0.6 + 0.4, *zip((across * 0.9).tolist(), (belly * 0.92).tolist(), strict=True))
    for at in (0.30, -0.25):
        half = 0.5 * np.sqrt(max(0.0, 1 - (at / 0.95) ** 2))
        shape(np.asarray(stripe, np.float32), (at - 0.07, -half), (at + 0.09, -half), (at + 0.13, 0), (at + 0.09, half),
              (at - 0.07, half), (at - 0.02, 0))  # fmt: skip
    shape(dark, (0.0, 0.05), (-0.34, 0.22), (-0.06, 0.26))
    for radius, tone in ((0.13, 1.0), (0.075, 0.12)):
        pen.dab(x + facing * 0.62 * size, y + (tilt * 0.62 - 0.13) * size, radius * size, radius * size,
                np.full(3, tone, np.float32))  # fmt: skip


LAYER = Layer(Params, paint)
