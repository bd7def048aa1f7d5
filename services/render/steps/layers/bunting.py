"""Bunting: pennants on strings that sag between their ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, jitter
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, ParamError, color, colors, custom, number

Span = tuple[float, float, float, float]


def spans(value: object) -> tuple[Span, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("must be [[x, y, x, y], ...]")
    out: list[Span] = []
    for at, span in enumerate(value):
        if (
            not isinstance(span, list | tuple)
            or len(span) != 4
            or not all(isinstance(n, int | float) and -1 <= n <= 2 for n in span)
        ):
            raise ParamError(f"[{at}]", "must be [x, y, x, y], fractions of the canvas")
        out.append((float(span[0]), float(span[1]), float(span[2]), float(span[3])))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Params:
    spans: tuple[Span, ...] = custom(((-0.02, 0.05, 1.02, 0.05),), spans)
    sag: float = number(0.08, 0, 0.5)
    size: float = number(0.06, 0.005, 0.3)  # a pennant's length
    inks: tuple[Color, ...] = colors("#ef7d74", "#f6c65b", "#7fb9a8", "#86a8d8", "#e7a6c0")
    string: Color = color("#b49a86")


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    pen = Pen(board, 0, board.height)
    size = board.px(params.size)
    for x0, y0, x1, y1 in params.spans:
        t = np.linspace(0, 1, 60)
        line = np.stack(
            [(x0 + (x1 - x0) * t) * board.width,
             (y0 + (y1 - y0) * t + params.sag * 4 * t * (1 - t)) * board.height], axis=1
        )  # fmt: skip
        long = float(np.hypot(*np.diff(line, axis=0).T).sum())
        count = max(2, int(long / (size * 1.02)))
        start = int(rng.integers(len(params.inks)))
        for at in range(count):
            middle = (at + 0.5) / count
            here = np.array([np.interp(middle, t, line[:, 0]), np.interp(middle, t, line[:, 1])])
            ahead = np.array([np.interp(middle + 0.01, t, line[:, 0]), np.interp(middle + 0.01, t, line[:, 1])])
            step = (ahead - here) / max(float(np.hypot(*(ahead - here))), 1e-6)
            ink = jitter(rng, params.inks[(start + at) % len(params.inks)], 0.04)
            swing = rng.normal(0, 0.10)
            tip = here + np.array([swing - step[1] * 0.3, 1.0]) * size
            left, right = here - step * size * 0.42, here + step * size * 0.42
            pen.polygon(np.array([left, right, tip]), ink)
            pen.polygon(np.array([here + step * size * 0.12, right, tip]), ink * 0.9)  # a fold's shade
            hem = np.array([0, size * 0.10])
            pen.polygon(np.array([left, right, right + hem, left + hem]), ink * 0.85)
        pen.line(line, max(0.8, size * 0.05), np.asarray(params.string, np.float32))
    pen.lay()


LAYER = Layer(Params, paint)
