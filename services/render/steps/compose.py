"""Joins world and subject: the world, air before a bright sky, the subject, then the foreground over its lower edge."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from services.render.steps.face import ellipse
from services.render.steps.params import number
from services.render.steps.pixels import blur, clip, mix
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    halo: float = number(0.0, 0, 1)  # light around the subject, as air before a bright sky has
    clear: float = number(1.3, 0.5, 3)  # what floats in front keeps off the face by this many of its radii


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    picture, (layer, alpha), light = ws.need_picture(), ws.need_layer(), ws.need_light()
    height, width = alpha.shape
    if params.halo > 0:
        air = blur(alpha, 0.035 * min(height, width)) * params.halo
        picture = picture + (1 - picture) * air[..., None] * np.asarray(light.color, np.float32) * 0.6
    picture = mix(picture, layer, alpha)
    front = ws.front
    if front is not None:
        # What floats before the subject (snow, fireflies) floats past the face, not over it.
        face = ws.need_face()
        around = replace(face, rx=face.rx * params.clear, ry=face.ry * params.clear)
        picture = mix(picture, front[..., :3], front[..., 3] * (1 - ellipse(around, height, width, 0.35)))
    ws.picture = clip(picture)


STEP = Step(Params, run, cost=0.3)
