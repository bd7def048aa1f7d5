"""Exposure, contrast and colour, each gently: the photo stays a photo of that moment.

Exposure is a curve through the subject's median (or the frame's), so a dark child before a window is lifted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.params import number
from services.render.steps.pixels import Array, clip, guided_gray, luma, mix
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    exposure: float = number(0.6, 0, 1)  # share of the way to ``target``
    target: float = number(0.52, 0.2, 0.8)  # median luma that is aimed at
    contrast: float = number(0.25, 0, 1)
    shadows: float = number(0.25, 0, 1)  # lifts dark areas without flattening what lies in them
    vibrance: float = number(0.25, 0, 1)  # colour for the pale, little for what is rich already


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo = ws.need_photo()
    weight = ws.alpha if ws.alpha is not None and float(ws.alpha.mean()) > 0.02 else None
    photo = _expose(photo, weight, params)
    photo = _lift(photo, params.shadows)
    if not ws.monochrome:
        photo = _vibrance(photo, params.vibrance)
    ws.photo = photo


def _expose(photo: Array, weight: Array | None, params: Params) -> Array:
    light = luma(photo)[::4, ::4]
    inside = light[weight[::4, ::4] > 0.5] if weight is not None else light.ravel()
    if inside.size < 64:
        inside = light.ravel()
    low, high = (float(v) for v in np.percentile(light, (0.4, 99.6)))
    # Most of the way to full range, not all: a hazy morning may stay one.
    low, high = min(low, 0.12) * 0.6, min(1.0, max(high, 0.30) + 0.04)
    photo = clip((photo - low) / max(high - low, 0.05))
    median = float(np.clip((np.median(inside) - low) / max(high - low, 0.05), 0.04, 0.96))
    gamma = np.clip(np.log(params.target) / np.log(median), 0.42, 1.5)
    photo = np.power(photo, np.float32(1 + (gamma - 1) * params.exposure))
    # A cubic S around the middle.
    return mix(photo, photo * photo * (3 - 2 * photo), params.contrast * 0.5)


def _lift(photo: Array, strength: float) -> Array:
    if strength <= 0:
        return photo
    light = luma(photo)
    base = guided_gray(light, radius=max(photo.shape[:2]) / 40, eps=0.01, reduce=4)
    lifted = base + strength * 0.35 * base * np.exp(-((base / 0.32) ** 2))
    gain = np.clip(lifted / np.maximum(base, 0.02), 1.0, 1.6)
    return clip(photo * gain[..., None])


def _vibrance(photo: Array, strength: float) -> Array:
    gray = luma(photo)[..., None]
    chroma = np.abs(photo - gray).max(axis=-1, keepdims=True)
    return clip(gray + (photo - gray) * (1 + strength * np.clip(1 - chroma * 2.6, 0, 1)))


STEP = Step(Params, run, cost=0.5)
