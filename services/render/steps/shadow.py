"""Grounds the subject: the shadow that it casts on the world, away from the light, and the foreground's own on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.params import number
from services.render.steps.pixels import blur, clip, mix, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    cast: float = number(0.35, 0, 1)  # on the world, most of it near the ground
    contact: float = number(0.5, 0, 1)  # on the subject, where the foreground touches it
    reach: float = number(0.028, 0, 0.2)  # how far it falls, in shares of the shorter side


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    picture, (layer, alpha), light = ws.need_picture(), ws.need_layer(), ws.need_light()
    height, width = alpha.shape
    unit = min(height, width)
    dark = np.asarray(light.ambient, np.float32) * 0.28
    if params.cast > 0:
        away = np.sign(width / 2 - light.x) or 1.0
        shift = (round(0.012 * unit), round(away * params.reach * unit))
        cast = blur(np.roll(alpha, shift, axis=(0, 1)), 0.022 * unit)
        ground = smoothstep(0.35, 0.95, np.linspace(0, 1, height, dtype=np.float32))[:, None]
        ws.picture = mix(picture, picture * dark, clip(cast * params.cast * (0.25 + 0.75 * ground)))
    if ws.front is not None and params.contact > 0:
        cover = ws.front[..., 3]
        near = clip(blur(np.roll(cover, -round(0.016 * unit), axis=0), 0.022 * unit) * 1.2)
        # What floats (a snowflake) touches nothing: only where the foreground is a body below.
        near = near * smoothstep(0.10, 0.35, blur(cover, 0.03 * unit))
        ws.layer = layer * (1 - params.contact * near[..., None] * (1 - dark))


STEP = Step(Params, run, cost=0.3)
