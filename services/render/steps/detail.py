"""Denoise, clarity and sharpness on the luma, a little colour denoise, more of it on the subject than behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.params import number
from services.render.steps.pixels import blur, clip, guided_gray, luma
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    denoise: float = number(0.4, 0, 1)
    clarity: float = number(0.3, 0, 1)
    sharpen: float = number(0.5, 0, 2)


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo = ws.need_photo()
    side = max(photo.shape[:2])
    light = luma(photo)
    clean = guided_gray(light, radius=3.0, eps=4e-4)
    light_out = light + (clean - light) * params.denoise
    fine = light_out - blur(light_out, 1.3)
    # Sharpening stops short of noise (below ~1 %) and of edges that have contrast enough (halos).
    fine *= np.abs(fine) / (np.abs(fine) + 0.006) * np.clip(1.2 - np.abs(fine) * 6, 0.2, 1)
    broad = light_out - guided_gray(light_out, radius=side / 50, eps=0.02, reduce=4)
    where = np.float32(1) if ws.alpha is None else 0.35 + 0.65 * ws.alpha
    light_out = light_out + where * (params.sharpen * fine + params.clarity * 0.45 * broad)
    chroma = photo - light[..., None]
    chroma = chroma + (blur(chroma, 1.8) - chroma) * params.denoise * 0.6
    ws.photo = clip(np.asarray(light_out[..., None] + chroma, np.float32))


STEP = Step(Params, run, cost=0.7)
