"""A sea: a gradient to the shore, ripples that widen towards the viewer, the light's glitter below the light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, fbm, gradient, soft_edge
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, Stops, color, number, stops
from services.render.steps.pixels import resize, smoothstep


@dataclass(frozen=True, slots=True)
class Params:
    y: float = number(0.55, 0, 1)
    end: float = number(0.85, 0, 1.2)
    colors: Stops = stops((0.0, "#bcd3dd"), (1.0, "#4f8ea3"))
    ripples: float = number(0.12, 0, 1)
    glitter: float = number(0.9, 0, 2)
    spread: float = number(0.10, 0.01, 1)
    crest: Color = color("#ffffff")


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    height, width = board.height, board.width
    top, bottom = int(params.y * height), min(height, int(params.end * height))
    rows = max(8, bottom - top)
    t = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    # Perspective: a flat pattern whose rows are squeezed at the horizon.
    flat = fbm(rng, 256, width, 26, 4, stretch=14, gain=0.6)
    at = np.clip((t[:, 0] + 0.03) ** 0.45 * 255, 0, 254)
    low = at.astype(int)
    waves = flat[low] + (flat[low + 1] - flat[low]) * (at - low)[:, None]
    ink = gradient(params.colors, np.clip(t + (waves - 0.5) * params.ripples * 2, 0, 1))
    ink *= (1 + (waves - 0.5) * params.ripples * 1.5)[..., None]
    u = np.abs(np.linspace(0, 1, width, dtype=np.float32)[None, :] - board.light[0])
    fleck = resize(rng.random((rows // 3 + 2, width // 10 + 2), dtype=np.float32), width, rows)
    path = np.exp(-((u / (params.spread * (0.35 + 1.2 * t))) ** 2))
    shine = params.glitter * path * smoothstep(0.52, 0.74, waves * 0.55 + fleck * 0.45) * (1 - 0.35 * t)
    shine = shine + params.glitter * 0.35 * path * (1 - t) ** 2
    ink = ink + (1 - np.clip(ink, 0, 1)) * shine[..., None] * np.asarray(board.light_color, np.float32)
    mask = soft_edge(t * rows - 0.5, 1.0) * np.ones((1, width), np.float32)
    board.over(np.clip(ink, 0, 1).astype(np.float32), mask, top, 0)
    # Surf where it meets the shore.
    shore = fbm(rng, 2, width, board.px(0.3), 3)[0] * 0.012 * height
    y = np.arange(height, dtype=np.float32)[:, None]
    for back, strength in ((0.0, 0.85), (0.022, 0.45), (0.05, 0.22)):
        line = bottom - back * height - shore * (1 + 3 * back) - 3
        foam = np.exp(-(((y - line[None, :]) / (0.0035 * height)) ** 2)) * strength
        foam *= smoothstep(0.3, 0.6, fbm(rng, height, width, board.px(0.05), 3, stretch=4))
        board.over(params.crest, np.asarray(foam, np.float32))


LAYER = Layer(Params, paint)
