"""Tall trunks with branches that leave the frame, as in a wood: rounded, barked, lit on the light's side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, fbm, ridge, soft_edge
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, number, numbers, whole
from services.render.steps.pixels import mix, smoothstep


@dataclass(frozen=True, slots=True)
class Params:
    foot: float = number(0.8, 0.3, 1.4)
    count: int = whole(8, 1, 80)
    wide: float = number(0.05, 0.003, 0.4)
    ink: Color = color("#4a3526")
    lit: Color = color("#c98f57")
    birch: float = number(0.0, 0, 1)  # dark marks on light bark
    clear: float = number(0.35, 0, 0.9)
    at: tuple[float, ...] = numbers(-0.2, 1.2)  # where they stand; empty scatters ``count`` of them
    haze: float = number(0.0, 0, 1)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    height, width = board.height, board.width
    bark = fbm(rng, height, width, board.px(0.05), 5, stretch=0.12, gain=0.6) - 0.5
    marks = smoothstep(0.60, 0.66, fbm(rng, height, width, board.px(0.03), 3, stretch=6))
    y = np.arange(height, dtype=np.float32)[:, None]
    light = board.light[0] * width
    for x in params.at or rng.uniform(-0.04, 1.04, params.count):
        if not params.at and abs(x - 0.5) < params.clear / 2:
            continue
        half = board.px(params.wide) * rng.uniform(0.6, 1.25) / 2
        foot = (params.foot + rng.uniform(-0.015, 0.02)) * height
        centre = x * width + (ridge(rng, height, height * 0.6, 2) * half * 1.3)[:, None]
        centre = centre + (y - foot) / height * rng.normal(0, 0.05) * width
        flare = half * (0.82 + 0.18 * y / foot + 0.9 * np.exp(-(foot - y) / (half * 1.1) * (y < foot)))
        left, right = max(0, int(centre.min() - 3 * half)), min(width, int(centre.max() + 3 * half) + 1)
        if right <= left:
            continue
        u = (np.arange(left, right, dtype=np.float32)[None, :] - centre) / flare
        side = np.sign(light - x * width)
        shade = np.clip(0.5 + 0.5 * side * u * 0.95 + bark[:, left:right] * 0.9 - 0.25 * u**2, 0, 1)
        ink = mix(
            np.asarray(params.ink, np.float32)[None, None],
            np.asarray(params.lit, np.float32)[None, None],
            smoothstep(0.15, 0.95, np.asarray(shade, np.float32))[..., None],
        )
        if params.birch > 0:
            ink = ink * (1 - params.birch * 0.75 * marks[:, left:right, None])
        mask = soft_edge((1 - np.abs(u)) * flare, 0.9) * soft_edge(foot - y, half * 0.25)
        board.over(ink.astype(np.float32), np.asarray(mask * (1 - params.haze), np.float32), 0, left)


LAYER = Layer(Params, paint)
