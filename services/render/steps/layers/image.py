"""A picture from the scene's own folder, laid where the scene wants it: what is easier drawn once than by a formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from services.render.steps.asset import Asset
from services.render.steps.layers.board import Board
from services.render.steps.layers.layer import Layer
from services.render.steps.params import asset, number, point
from services.render.steps.pixels import Array, blur


@dataclass(frozen=True, slots=True)
class Params:
    image: Asset = asset()
    at: tuple[float, float] = point(0.5, 0.5)  # its middle
    width: float = number(0.3, 0.01, 3.0)
    turn: float = number(0.0, -180, 180)  # degrees, against the clock
    soften: float = number(0.0, 0, 12)  # px; what is far away
    opacity: float = number(1.0, 0, 1)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    rgb, alpha = _sized(params, round(board.px(params.width)))
    if params.soften > 0:
        shown = blur(np.dstack([rgb * alpha[..., None], alpha]), params.soften)
        alpha = shown[..., 3]
        rgb = np.clip(shown[..., :3] / np.maximum(alpha, 1e-3)[..., None], 0, 1)
    x, y = params.at
    height, width = alpha.shape
    board.over(rgb, alpha * params.opacity, round(y * board.height - height / 2), round(x * board.width - width / 2))


def _sized(params: Params, width: int) -> tuple[Array, Array]:
    """Colour (h, w, 3) and coverage (h, w) at the size on the canvas. Premultiplied meanwhile: no fringes."""
    image = Image.fromarray(params.image.rgba).convert("RGBa")
    size = max(1, width), max(1, round(width * image.height / image.width))
    image = image.resize(size, Image.Resampling.BOX if size[0] < image.width / 2 else Image.Resampling.BICUBIC)
    if params.turn:
        image = image.rotate(params.turn, Image.Resampling.BICUBIC, expand=True)
    rgba = np.asarray(image, np.float32) / np.float32(255)
    return np.clip(rgba[..., :3] / np.maximum(rgba[..., 3:], 1e-3), 0, 1), rgba[..., 3]


LAYER = Layer(Params, paint)
