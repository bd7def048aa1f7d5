"""Joins world and subject: a cast shadow away from the light, the subject, then the foreground and its own shade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.face import ellipse
from services.render.steps.params import number
from services.render.steps.pixels import blur, clip, mix, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    shadow: float = number(0.35, 0, 1)  # on the world, near the ground
    contact: float = number(0.5, 0, 1)  # where the foreground touches the subject
    halo: float = number(0.0, 0, 1)  # light around the subject, as air before a bright sky has


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    picture, (layer, alpha), light = ws.need_picture(), ws.need_layer(), ws.need_light()
    height, width = alpha.shape
    unit = min(height, width)
    dark = np.asarray(light.ambient, np.float32) * 0.28
    if params.halo > 0:
        air = blur(alpha, 0.035 * unit) * params.halo
        picture = picture + (1 - picture) * air[..., None] * np.asarray(light.color, np.float32) * 0.6
    if params.shadow > 0:
        away = np.sign(width / 2 - light.x) or 1.0
        shift = (round(0.012 * unit), round(away * 0.028 * unit))
        cast = blur(np.roll(alpha, shift, axis=(0, 1)), 0.022 * unit)
        ground = smoothstep(0.35, 0.95, np.linspace(0, 1, height, dtype=np.float32))[:, None]
        picture = mix(picture, picture * dark, clip(cast * params.shadow * (0.25 + 0.75 * ground)))
    front = ws.front
    if front is not None:
        cover = front[..., 3]
        near = clip(blur(np.roll(cover, -round(0.016 * unit), axis=0), 0.022 * unit) * 1.2)
        layer = layer * (1 - params.contact * near[..., None] * (1 - dark))
    picture = mix(picture, layer, alpha)
    if front is not None:
        # What floats before the subject (snow, fireflies) floats past the face, not over it.
        clear = ellipse(ws.need_face(), height, width, 0.5) * alpha
        picture = mix(picture, front[..., :3], front[..., 3] * (1 - clear))
    ws.picture = clip(picture)


STEP = Step(Params, run, cost=0.5)
