"""Foliage: leaf dabs in clumps, dark inside, bright towards the light; a crown, a hedge or boughs from above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, jitter
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, colors, number, point, whole


@dataclass(frozen=True, slots=True)
class Params:
    at: tuple[float, float] = point(0.2, 0.3)
    reach: tuple[float, float] = point(0.2, 0.15)  # half axes, fractions of width and height
    clumps: int = whole(24, 1, 400)
    leaves: int = whole(70, 1, 600)  # per clump
    leaf: float = number(0.010, 0.001, 0.08)
    dark: tuple[Color, ...] = colors("#5b6f2f", "#4b5f2b")
    mid: tuple[Color, ...] = colors("#7d9440", "#8aa24a")
    lit: tuple[Color, ...] = colors("#c6cf6e", "#d8dd8a")
    opacity: float = number(1.0, 0, 1)
    soften: float = number(0.0, 0, 12)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    width, height = board.width, board.height
    pen = Pen(
        board,
        int((params.at[1] - params.reach[1] * 1.8) * height),
        int((params.at[1] + params.reach[1] * 1.8) * height) + 4,
    )
    size = board.px(params.leaf)
    to_light = np.array(
        [board.light[0] * width - params.at[0] * width, board.light[1] * height - params.at[1] * height]
    )
    to_light = to_light / max(float(np.hypot(*to_light)), 1)
    # Far clumps first: those away from the light, so that lit ones overlap them.
    angles, radii = rng.random(params.clumps) * 2 * np.pi, np.sqrt(rng.random(params.clumps))
    centres = np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1)
    for cx, cy in centres[np.argsort(centres @ to_light)]:
        clump = min(params.reach[0] * width, params.reach[1] * height) * rng.uniform(0.28, 0.5)
        x0, y0 = (params.at[0] + cx * params.reach[0]) * width, (params.at[1] + cy * params.reach[1]) * height
        whole_light = 0.5 + 0.35 * float(np.dot((cx, cy), to_light))
        offsets = np.clip(rng.normal(0, 0.5, (params.leaves, 2)), -1.3, 1.3)
        for ox, oy in offsets[np.argsort(offsets @ to_light)]:
            bright = whole_light + 0.45 * float(np.dot((ox, oy), to_light)) + rng.normal(0, 0.10)
            palette = params.dark if bright < 0.38 else params.mid if bright < 0.72 else params.lit
            turn = rng.uniform(0.55, 1.0)
            pen.dab(
                x0 + ox * clump,
                y0 + oy * clump * 0.85,
                size * rng.uniform(0.6, 1.3),
                size * turn * rng.uniform(0.5, 1.0),
                jitter(rng, palette[rng.integers(len(palette))], 0.07),
            )
    pen.lay(params.opacity, params.soften)


LAYER = Layer(Params, paint)
