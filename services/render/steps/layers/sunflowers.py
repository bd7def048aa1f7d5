"""Sunflowers: rows of big golden heads on leafy stems, small far off and large near by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, jitter
from services.render.steps.layers.grass import blade
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, colors, number, whole
from services.render.steps.pixels import Array


@dataclass(frozen=True, slots=True)
class Params:
    y: float = number(0.6, 0, 1.3)  # the farthest heads
    end: float = number(0.95, 0, 1.4)  # the nearest
    count: int = whole(160, 1, 3000)
    size: float = number(0.06, 0.002, 0.25)  # a near head's radius
    far: float = number(0.12, 0.02, 1)
    stem: float = number(0.2, 0, 0.8)  # a near one's length
    clear: float = number(0.0, 0, 0.9)
    petals: tuple[Color, ...] = colors("#f8c32f", "#fbd24a", "#f2ae22")
    heart: Color = color("#5e3a1d")
    leaf: Color = color("#5f8f35")


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    pen = Pen(board, int((params.y - params.size - 0.05) * board.height), board.height)
    unit = board.px(1)
    for depth in np.sort(rng.random(params.count)):
        x = rng.uniform(-0.03, 1.03)
        if abs(x - 0.5) < params.clear / 2:
            continue
        near = depth**1.7
        scale = params.far + (1 - params.far) * near
        size = params.size * unit * scale * rng.uniform(0.8, 1.15)
        y = (params.y + (params.end - params.y) * near + rng.normal(0, 0.012) * scale) * board.height
        px = x * board.width
        tall = params.stem * board.height * scale
        if tall > 3:
            pen.polygon(
                blade(px, y + tall, tall, size * 0.42, rng.normal(0, 0.05)), jitter(rng, params.leaf, 0.1) * 0.8
            )
            for side in (-1, 1):
                at = y + size * 1.3 + tall * rng.uniform(0.15, 0.5)
                pen.polygon(_leaf(px, at, size * rng.uniform(1.1, 1.6), side), jitter(rng, params.leaf, 0.12))
        _head(pen, px, y, size, params, rng)
    pen.lay()


def _head(pen: Pen, x: float, y: float, size: float, params: Params, rng: np.random.Generator) -> None:
    ink = jitter(rng, params.petals[rng.integers(len(params.petals))], 0.05)
    tilt = rng.uniform(0.78, 0.98)
    if size < 3:
        pen.dab(x, y, size, size * tilt, ink)
        pen.dab(x, y, size * 0.45, size * 0.45 * tilt, np.asarray(params.heart, np.float32))
        return
    count = 17 if size > 9 else 11
    for reach, shade, shift in ((1.0, 0.84, 0.5), (0.9, 1.0, 0.0)):
        for petal in range(count):
            angle = (petal + shift) * 2 * np.pi / count + rng.normal(0, 0.06)
            pen.polygon(
                _petal(x, y, size * reach, angle, tilt, 3.4 / count), np.clip(jitter(rng, ink, 0.05) * shade, 0, 1)
            )
    heart = np.asarray(params.heart, np.float32)
    pen.dab(x, y, size * 0.50, size * 0.50 * tilt, heart)
    pen.dab(x, y, size * 0.36, size * 0.36 * tilt, np.clip(heart * 1.45, 0, 1))
    pen.dab(x, y, size * 0.20, size * 0.20 * tilt, heart * 0.8)


def _petal(x: float, y: float, size: float, angle: float, tilt: float, wide: float) -> Array:
    t = np.array([0.35, 0.62, 0.85, 1.0, 0.85, 0.62, 0.35])
    half = np.array([-0.5, -1.0, -0.75, 0.0, 0.75, 1.0, 0.5]) * wide * 0.62
    along = np.stack([np.cos(angle + half) * t, np.sin(angle + half) * t * tilt], axis=1)
    return np.asarray(along * size + (x, y), np.float32)


def _leaf(x: float, y: float, size: float, side: int) -> Array:
    t = np.linspace(0, 1, 6)
    upper = np.stack([x + side * size * t, y - size * 0.32 * np.sin(np.pi * t) + size * 0.12 * t], axis=1)
    lower = np.stack([x + side * size * t, y + size * 0.26 * np.sin(np.pi * t) + size * 0.12 * t], axis=1)
    return np.concatenate([upper, lower[::-1]]).astype(np.float32)


LAYER = Layer(Params, paint)
