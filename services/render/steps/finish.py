"""Brings the photo itself (enhance) or the canvas to its final size, with a faint vignette if asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from services.render.steps.layers.board import fbm
from services.render.steps.params import number
from services.render.steps.pixels import clip, resize
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    vignette: float = number(0.0, 0, 1)
    grain: float = number(0.0, 0, 1)  # of paper, over everything


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    picture = ws.picture if ws.picture is not None else ws.need_photo()
    height, width = picture.shape[:2]
    scale = min(1.0, ws.side / max(height, width))
    if scale < 1:
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        picture = clip(resize(picture, width, height, Image.Resampling.LANCZOS))
    if params.vignette > 0:
        y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
        picture = picture * (1 - params.vignette * 0.35 * np.clip(np.hypot(x, y) - 0.55, 0, 1) ** 1.5)[..., None]
    if params.grain > 0:  # the same for all: a sheet of paper, not noise of a photo
        rng = np.random.default_rng(7)
        tooth = 0.6 * (fbm(rng, height, width, 7, 3) - 0.5) + 0.25 * (
            rng.random((height, width), dtype=np.float32) - 0.5
        )
        picture = clip(picture * (1 + params.grain * 0.16 * tooth)[..., None])
    ws.picture = picture


STEP = Step(Params, run, cost=0.2)
