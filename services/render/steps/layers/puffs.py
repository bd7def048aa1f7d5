"""Heaped cloud: spheres in clusters whose common surface is lit, so that a bank of cloud has volume.

Serves for cumulus far off and for the bank that a subject rises from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, fbm
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, number, whole, word
from services.render.steps.pixels import Array, blur, mix, smoothstep


@dataclass(frozen=True, slots=True)
class Params:
    shape: str = word("heap", "heap", "bank")
    y: float = number(0.4, -0.2, 1.3)  # the heap's flat base, or the bank's crest
    x: float = number(0.5, -0.5, 1.5)
    width: float = number(0.4, 0.02, 2)  # a heap's
    height: float = number(0.14, 0.01, 1)  # a heap's rise, or how uneven the bank's crest is
    size: float = number(0.06, 0.005, 0.5)
    count: int = whole(40, 1, 400)
    lit: Color = color("#ffffff")
    mid: Color = color("#dfe6f2")
    shade: Color = color("#9fb0cd")
    opacity: float = number(1.0, 0, 1)
    soft: float = number(0.12, 0.01, 1)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    high = _spheres(board, params, rng)
    lift = board.px(params.size)
    wobble = fbm(rng, board.height, board.width, lift * 1.2, 5) - 0.5
    surface = blur(high, lift * 0.10) + wobble * lift * 0.55 * (high > 0)
    gy, gx = np.gradient(blur(surface, lift * 0.07))
    y, x = board.grid()
    to_x, to_y = board.light[0] * board.width - x, board.light[1] * board.height - y
    far = np.maximum(np.hypot(to_x, to_y), 1)
    slope = 1 / np.sqrt(1 + gx**2 + gy**2)
    # From the light's side, from above, and a little from everywhere.
    facing = (-(gx * to_x + gy * to_y) / far * 0.6 - gy * 0.30 * -1) * slope
    light = np.clip(0.40 + 0.60 * facing + 0.12 * slope, 0, 1).astype(np.float32)
    ink = mix(
        np.asarray(params.shade, np.float32)[None, None],
        np.asarray(params.mid, np.float32)[None, None],
        smoothstep(0.15, 0.58, light)[..., None],
    )
    ink = mix(ink, np.asarray(params.lit, np.float32)[None, None], smoothstep(0.52, 0.95, light)[..., None])
    mask = smoothstep(0.02, params.soft * 2, surface / lift)
    if params.shape == "heap":  # its base dissolves
        base = params.y * board.height
        mask = mask * (1 - smoothstep(-0.35, 0.25, (y - base) / (params.height * board.height)))
    board.over(ink, np.asarray(mask * params.opacity, np.float32))


def _spheres(board: Board, params: Params, rng: np.random.Generator) -> Array:
    high = np.zeros((board.height, board.width), np.float32)
    unit = board.px(params.size)
    for _ in range(params.count):
        if params.shape == "heap":
            across = np.clip(rng.normal(0, 0.42), -1, 1)
            x = (params.x + across * params.width / 2) * board.width
            rise = rng.random() ** 0.8 * (1 - across**2) * params.height
            y = (params.y - rise) * board.height
            radius = unit * (0.45 + 0.8 * rng.random()) * (1.15 - 0.6 * abs(across))
        else:
            x = rng.uniform(-0.08, 1.08) * board.width
            depth = rng.random()
            y = (params.y + depth * (1.05 - params.y) + rng.normal(0, params.height) * (1 - depth)) * board.height
            radius = unit * (0.7 + 0.7 * rng.random()) * (0.8 + 0.7 * depth)
        _sphere(high, x, y, radius)
    if params.shape == "bank":  # no holes below the crest
        rows = np.arange(board.height, dtype=np.float32)[:, None]
        fill = smoothstep(0.04, 0.16, rows / board.height - params.y - params.height * 0.5) * unit * 0.5
        high = np.maximum(high, np.broadcast_to(fill, high.shape))
    return high


def _sphere(high: Array, x: float, y: float, radius: float) -> None:
    top, bottom = max(0, int(y - radius)), min(high.shape[0], int(y + radius) + 2)
    left, right = max(0, int(x - radius)), min(high.shape[1], int(x + radius) + 2)
    if bottom <= top or right <= left:
        return
    yy = np.arange(top, bottom, dtype=np.float32)[:, None] - y
    xx = np.arange(left, right, dtype=np.float32)[None, :] - x
    cap = np.sqrt(np.maximum(radius**2 - xx**2 - yy**2, 0))
    part = high[top:bottom, left:right]
    np.maximum(part, cap, out=part)


LAYER = Layer(Params, paint)
