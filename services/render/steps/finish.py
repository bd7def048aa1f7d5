"""Brings the photo itself (enhance) or the canvas to its final size, with a faint vignette if asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from services.render.steps.params import number
from services.render.steps.pixels import clip, resize
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    vignette: float = number(0.0, 0, 1)


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
    ws.picture = picture


STEP = Step(Params, run, cost=0.2)
