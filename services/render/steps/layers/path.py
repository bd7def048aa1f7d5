"""A path that winds from far off to the viewer, worn pale, with grass at its edges and small prints of bare feet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, fbm
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, number, whole
from services.render.steps.pixels import mix, smoothstep


@dataclass(frozen=True, slots=True)
class Params:
    y: float = number(0.6, 0, 1)
    end: float = number(1.0, 0.2, 1.3)
    start: float = number(0.62, -0.5, 1.5)  # x far off
    x: float = number(0.5, -0.5, 1.5)  # x near by
    bend: float = number(0.18, 0, 1)
    turns: float = number(1.2, 0, 4)
    wide: float = number(0.34, 0.01, 1)  # near by, in shares of the shorter side
    far: float = number(0.03, 0.002, 0.5)
    light: Color = color("#f2e2bd")
    dark: Color = color("#cdb083")
    prints: int = whole(0, 0, 60)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    height, width = board.height, board.width
    y, x = board.grid()
    t = np.clip((y / height - params.y) / (params.end - params.y), 0, 1)
    half = board.px(1) * (params.far + (params.wide - params.far) * t**1.5) / 2
    middle = _middle(t, params) * width
    ragged = (fbm(rng, height, width, board.px(0.05), 4, stretch=3) - 0.5) * half * 0.35
    inside = half - np.abs(x - middle) + ragged
    mask = smoothstep(-1.0, 2.5, inside) * smoothstep(-0.5, 1.0, y - params.y * height)
    worn = smoothstep(0, 1, np.clip(inside / np.maximum(half, 1), 0, 1))
    gravel = fbm(rng, height, width, board.px(0.02), 4, stretch=3) - 0.5
    ink = mix(np.asarray(params.dark, np.float32)[None, None], np.asarray(params.light, np.float32)[None, None],
              np.clip(0.25 + 0.75 * worn + gravel * 0.5, 0, 1)[..., None])  # fmt: skip
    board.over(ink, np.asarray(mask, np.float32))
    if params.prints:
        _prints(board, params)


def _middle(t: np.ndarray, params: Params) -> np.ndarray:
    swing = params.bend * np.sin((1 - t) * params.turns * np.pi) * (0.35 + 0.65 * t)
    return np.asarray(params.start + (params.x - params.start) * t**1.3 + swing, np.float32)


def _prints(board: Board, params: Params) -> None:
    pen = Pen(board, int(params.y * board.height), board.height)
    ink = np.asarray(params.dark, np.float32) * 0.82
    for at in range(params.prints):
        t = np.asarray(((at + 1) / (params.prints + 1)) ** 0.6)
        size = board.px(1) * (params.far + (params.wide - params.far) * float(t) ** 1.5) * 0.075
        side = 1 if at % 2 else -1
        x = float(_middle(t, params)) * board.width + side * size * 1.5
        y = (params.y + (params.end - params.y) * float(t)) * board.height
        pen.dab(x, y, size * 0.55, size * 0.42, ink)
        pen.dab(x + side * size * 0.08, y + size * 0.5, size * 0.42, size * 0.34, ink)
        for toe in range(5):
            pen.dab(
                x + (toe - 2) * size * 0.26,
                y - size * (0.62 - 0.05 * abs(toe - 2 + side)),
                size * 0.13,
                size * 0.11,
                ink,
            )
    pen.lay(0.8)


LAYER = Layer(Params, paint)
