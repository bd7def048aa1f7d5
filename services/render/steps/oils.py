"""Paints the photo itself in oils: broad strokes and much of a style behind, fine strokes and little of it on the
subject, next to none in the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from services.render.steps import strokes
from services.render.steps.face import ellipse
from services.render.steps.params import Color, color, number, weights
from services.render.steps.pixels import Array, blur, clip, luma, mix, resize, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Face, Tools, Workspace

MOST = 2.5  # enlargement of a small photo: strokes need room


@dataclass(frozen=True, slots=True)
class Params:
    style: tuple[float, ...] = weights(26, {4: 1.0})
    behind: float = number(0.8, 0, 1)  # style on what is behind, on the subject, in the face
    subject: float = number(0.4, 0, 1)
    face: float = number(0.12, 0, 1)
    hue: float = number(0.4, 0, 1)
    brush: float = number(0.022, 0.004, 0.1)  # widest stroke behind, in shares of the longer side
    fine: float = number(0.009, 0.002, 0.05)  # on the subject
    glaze: Color = color("#f2d7a8")
    glazing: float = number(0.12, 0, 0.6)
    lift: float = number(0.25, 0, 1)  # darkens what is behind away from the subject, so that it glows


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo, alpha, face = enlarged(ws)
    whole = photo if ws.backdrop is None else resize(ws.backdrop, photo.shape[1], photo.shape[0])
    height, width = alpha.shape
    side = max(height, width)
    rng = np.random.default_rng([ws.job.seed & 0xFFFFFFFF, 11])
    near = smoothstep(0.1, 0.9, blur(alpha, 0.003 * side))
    behind = _behind(whole, near, params, side, rng, tools)
    body = strokes.painted(photo, rng, params.fine * side, 1.6, 0.0, where=np.clip(near + 0.05, 0, 1))
    body = mix(photo, body, 0.85)
    body = strokes.neural(body, _styled(body, params, tools, 0.8), params.subject, params.hue * 0.5, 0.09)
    guard = ellipse(face, height, width, 0.5) * near
    skin = mix(photo, strokes.painted(photo, rng, 0.0045 * side, 2.0, 0.0, where=guard), 0.45)
    skin = mix(skin, body, params.face)
    painted = mix(behind, mix(body, skin, guard), near)
    if params.glazing > 0:  # one thin warm film over all: what a varnish does
        glaze = np.asarray(params.glaze, np.float32)
        painted = mix(painted, painted * glaze + (1 - painted) * painted * glaze * 0.4, params.glazing)
    ws.picture = clip(painted)
    ws.face = face


def enlarged(ws: Workspace) -> tuple[Array, Array, Face]:
    """Photo, alpha and face at the picture's final size."""
    photo, alpha, face = ws.need_photo(), ws.need_alpha(), ws.need_face()
    height, width = alpha.shape
    scale = min(ws.side / max(height, width), MOST)
    w, h = round(width * scale), round(height * scale)
    big = clip(resize(photo, w, h, Image.Resampling.LANCZOS))
    return big, clip(resize(alpha, w, h)), face.moved(scale)


def _behind(whole: Array, near: Array, params: Params, side: int, rng: np.random.Generator, tools: Tools) -> Array:
    # The subject's own colours may not leak into the broad strokes around it.
    weight = 1 - near + 1e-3
    filled = blur(whole * weight[..., None], 0.03 * side) / blur(weight, 0.03 * side)[..., None]
    base = mix(blur(whole, 0.002 * side), filled, smoothstep(0.05, 0.7, blur(near, 0.006 * side)))
    away = params.lift * (1 - blur(near, 0.10 * side)) * 0.5
    base = clip(base * (1 - away[..., None]))
    base = mix(base, strokes.painted(base, rng, params.brush * side, 1.2, 0.15), 0.9)
    return strokes.neural(base, _styled(base, params, tools, 0.6), params.behind, params.hue, 0.16)


def _styled(rgb: Array, params: Params, tools: Tools, scale: float) -> Array:
    height, width = rgb.shape[:2]
    small = resize(rgb, max(32, round(width * scale)), max(32, round(height * scale)))
    out = resize(tools.networks.stylize(clip(small), params.style), width, height)
    # Bring the style's overall light back to the photo's.
    return clip(out * float(np.clip(luma(rgb).mean() / max(float(luma(out).mean()), 0.05), 0.6, 1.6)))


STEP = Step(Params, run, cost=4.0)
