"""Planets: banded spheres lit from the light's side, some with a ring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.balloons import Place, places
from services.render.steps.layers.board import Board, fbm, soft_edge
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, colors, custom, number
from services.render.steps.pixels import Array, mix, smoothstep


@dataclass(frozen=True, slots=True)
class Params:
    places: tuple[Place, ...] = custom((), places)  # x, y, radius; inks and ringed go with them in order
    inks: tuple[Color, ...] = colors("#f0a37a", "#6fb7c9", "#e7d08c", "#c58fd0")
    pale: tuple[Color, ...] = colors("#fbe0c0", "#d3f0ee", "#fff5d8", "#f0d4f4")
    rings: float = number(0.5, 0, 1)  # the share of them, from the first on, that has one
    air: float = number(0.35, 0, 1)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    for at, (x, y, radius) in enumerate(params.places):
        ink, pale = params.inks[at % len(params.inks)], params.pale[at % len(params.pale)]
        ringed = at < params.rings * len(params.places)
        _planet(board, x * board.width, y * board.height, board.px(radius), ink, pale, ringed, params.air, rng)


def _planet(board: Board, x: float, y: float, radius: float, ink: Color, pale: Color, ringed: bool, air: float,
            rng: np.random.Generator) -> None:  # fmt: skip
    reach = int(radius * 2.4) + 4
    top, left = int(y) - reach, int(x) - reach
    v = (np.arange(top, top + 2 * reach, dtype=np.float32)[:, None] - y) / radius
    u = (np.arange(left, left + 2 * reach, dtype=np.float32)[None, :] - x) / radius
    tilt = rng.uniform(-0.45, 0.45)
    along, across = u * np.cos(tilt) + v * np.sin(tilt), v * np.cos(tilt) - u * np.sin(tilt)
    to_x, to_y = board.light[0] * board.width - x, board.light[1] * board.height - y
    far = max(1.0, float(np.hypot(to_x, to_y)))
    if ringed:
        _ring(board, along, across, pale, radius, top, left, behind=True)
    # Bands bend with the sphere and are stirred a little.
    stir = fbm(rng, 2 * reach, 2 * reach, radius * 0.7, 4, stretch=2.5) - 0.5
    depth = np.sqrt(np.maximum(1 - u**2 - v**2, 0))
    bands = 0.5 + 0.5 * np.sin((across + 0.18 * depth + stir * 0.28) * rng.uniform(7, 11))
    colour = mix(np.asarray(ink, np.float32)[None, None], np.asarray(pale, np.float32)[None, None],
                 np.asarray(0.15 + 0.7 * bands * (0.6 + 0.8 * stir), np.float32)[..., None])  # fmt: skip
    lit = smoothstep(-0.35, 0.75, (u * to_x + v * to_y) / far * 0.85 + depth * 0.5)
    shade = colour * np.asarray(board.ambient, np.float32) * 0.5
    colour = mix(shade, colour, lit[..., None])
    limb = np.exp(-depth * 5) * lit
    colour = colour + (1 - colour) * (air * limb)[..., None]
    board.over(np.clip(colour, 0, 1), soft_edge((1 - np.hypot(u, v)) * radius, 0.9), top, left)
    if ringed:
        _ring(board, along, across, pale, radius, top, left, behind=False)


def _ring(board: Board, along: Array, across: Array, pale: Color, radius: float, top: int, left: int, *,
          behind: bool) -> None:  # fmt: skip
    flat = np.hypot(along, across / 0.26)
    mask = smoothstep(1.35, 1.42, flat) * (1 - smoothstep(2.05, 2.14, flat)) * (0.55 + 0.35 * np.sin(flat * 26))
    side = soft_edge(-across * radius if behind else across * radius, 0.8)
    board.over(pale, np.asarray(np.clip(mask * side * 0.85, 0, 1), np.float32), top, left)


LAYER = Layer(Params, paint)
