"""Firs and pines in a row along a line: jagged silhouettes with tiers, lit on one side, snowed on if asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, jitter
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, number, whole
from services.render.steps.pixels import Array


@dataclass(frozen=True, slots=True)
class Params:
    y: float = number(0.7, 0, 1.4)
    spread: float = number(0.02, 0, 0.4)  # how far feet lie apart in height
    tall: float = number(0.16, 0.01, 1.2)
    count: int = whole(30, 1, 400)
    ink: Color = color("#2c4a45")
    lit: Color = color("#5f7f70")
    snow: float = number(0.0, 0, 1.3)
    snow_color: Color = color("#eef3fb")
    clear: float = number(0.0, 0, 0.9)  # share of the middle that stays free
    opacity: float = number(1.0, 0, 1)
    soften: float = number(0.0, 0, 12)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    pen = Pen(board, int((params.y - params.spread - params.tall * 1.6) * board.height), board.height)
    side = 1 if board.light[0] >= 0.5 else -1
    for depth in np.sort(rng.random(params.count)):
        x = rng.uniform(-0.05, 1.05)
        if abs(x - 0.5) < params.clear / 2 * (0.8 + 0.4 * rng.random()):
            continue
        tall = params.tall * board.height * rng.uniform(0.55, 1.15) * (0.75 + 0.4 * depth)
        foot = (params.y + (depth - 0.5) * 2 * params.spread) * board.height
        _fir(pen, x * board.width, foot, tall, side, params, rng)
    pen.lay(params.opacity, params.soften)


def _fir(pen: Pen, x: float, foot: float, tall: float, side: int, params: Params, rng: np.random.Generator) -> None:
    dark = jitter(rng, params.ink, 0.08)
    lit = jitter(rng, params.lit, 0.08)
    pen.polygon(
        np.array(
            [(x - tall * 0.02, foot + tall * 0.04), (x, foot - tall * 0.5), (x + tall * 0.02, foot + tall * 0.04)],
            np.float32,
        ),
        dark * 0.7,
    )
    tiers = int(np.clip(tall / 16, 5, 13) * (0.72 if params.snow else 1))
    for tier in range(tiers):  # from the lowest up, each overlapping the one below
        t = tier / tiers
        base = foot - tall * (0.04 + 0.9 * t)
        half = tall * 0.22 * (1 - t) ** 0.85 * rng.uniform(0.78, 1.15) + tall * 0.012
        shift = half * rng.normal(0, 0.10)
        top = base - tall * (0.24 - 0.06 * t)
        pen.polygon(_bough(x + shift, base, top, half, rng), dark * rng.uniform(0.85, 1.1))
        light = _bough(x + side * half * 0.32, base - tall * 0.012, top + tall * 0.02, half * 0.55, rng)
        pen.polygon(light, dark + (lit - dark) * (0.35 + 0.5 * t))
        if params.snow > 0:
            for part in (-1, 1):  # a cushion on either side, the one away from the light in shade
                load = _bough(
                    x + shift + part * half * 0.36,
                    base - tall * 0.028,
                    top + tall * 0.05,
                    half * 0.44 * params.snow * rng.uniform(0.8, 1.1),
                    rng,
                )
                pen.polygon(load, jitter(rng, params.snow_color, 0.03, 0.01) * (1.0 if part == side else 0.86))


def _bough(x: float, base: float, top: float, half: float, rng: np.random.Generator) -> Array:
    """A tier: an arched triangle with a ragged lower edge."""
    count = 9
    u = np.linspace(-1, 1, count)
    droop = base + (np.abs(u) ** 1.5 * 0.14 + rng.uniform(-0.10, 0.10, count) * (1 - np.abs(u) * 0.4)) * half
    lower = np.stack([x + u * half, droop], axis=1)
    return np.concatenate([lower, [[x + half * 0.08, top], [x - half * 0.08, top]]]).astype(np.float32)


LAYER = Layer(Params, paint)
