"""Thin cloud: stretched noise in a band of the sky, lit from the light's side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, fbm
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, number
from services.render.steps.pixels import mix, smoothstep


@dataclass(frozen=True, slots=True)
class Params:
    top: float = number(0.05, -0.5, 1)
    bottom: float = number(0.6, 0, 1.5)
    cover: float = number(0.45, 0, 1)
    size: float = number(0.35, 0.02, 2)
    stretch: float = number(4.0, 1, 20)
    opacity: float = number(0.6, 0, 1)
    lit: Color = color("#ffffff")
    shade: Color = color("#b9c4d8")


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    height, width = board.height, board.width
    y, x = board.grid()
    cloud = fbm(rng, height, width, board.px(params.size), 6, params.stretch, gain=0.55)
    band = smoothstep(0, 0.25, (y / height - params.top) / max(params.bottom - params.top, 0.01))
    band = band * smoothstep(0, 0.25, (params.bottom - y / height) / max(params.bottom - params.top, 0.01))
    edge = 0.68 - 0.36 * params.cover
    mask = smoothstep(edge, edge + 0.22, cloud) * band * params.opacity
    near = np.exp(-np.hypot(x / width - board.light[0], (y / height - board.light[1])) / 0.4)
    step = max(2, int(board.px(0.012)))
    relief = np.clip((np.roll(cloud, step if board.light[1] < 0.5 else -step, axis=0) - cloud) * -6 + 0.5, 0, 1)
    lit = np.clip(relief * 0.7 + near * 0.6, 0, 1).astype(np.float32)
    ink = mix(
        np.asarray(params.shade, np.float32)[None, None], np.asarray(params.lit, np.float32)[None, None], lit[..., None]
    )
    board.over(ink, np.asarray(mask, np.float32))


LAYER = Layer(Params, paint)
