"""Paints the photo itself in oils: broad strokes behind, on a ground of its own or the photo's, and fine ones on it.

The face's finest strokes stay in ``likeness``, for ``blend_face``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from services.render.steps import strokes
from services.render.steps.layers.board import fbm, gradient
from services.render.steps.params import Color, Stops, color, number, stops, weights, whole
from services.render.steps.pixels import Array, blur, clip, luma, mix, resize, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Face, Tools, Workspace

MOST = 2.5  # enlargement of a small photo: strokes need room
STYLED = 0.7  # the style network's picture, in shares of the painted one's size
HEAD = 2.0  # radii of a head within which its likeness may be asked for (``blend_face``)


@dataclass(frozen=True, slots=True)
class Params:
    style: tuple[float, ...] = weights(26, {4: 1.0})
    behind: float = number(0.8, 0, 1)  # style on what is behind, on the subject
    subject: float = number(0.4, 0, 1)
    ground: Stops = stops((0.0, "#4a3423"), (1.0, "#c79a5f"))  # what is painted behind, dark to light
    grounding: float = number(0.0, 0, 1)  # the share of it against the photo's own background
    swirls: int = whole(0, 0, 40)  # whirls of light in it
    hue: float = number(0.4, 0, 1)
    brush: float = number(0.022, 0.004, 0.1)  # widest stroke behind, in shares of the longer side
    fine: float = number(0.009, 0.002, 0.05)  # on the subject
    relief: float = number(0.15, 0, 1)  # how high the paint lies
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
    behind = _behind(whole, near, params, side, rng)
    body = strokes.painted(photo, rng, params.fine * side, 1.6, params.relief, where=np.clip(near + 0.05, 0, 1))
    body = mix(photo, body, 0.92)
    styled = _styled(mix(behind, body, near), params, tools)
    behind = strokes.neural(behind, styled, params.behind, params.hue, 0.16)
    body = strokes.neural(body, styled, params.subject, params.hue * 0.5, 0.09)
    ws.likeness = _skin(photo, near, face, side, rng)
    painted = mix(behind, body, near)
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


def _skin(photo: Array, near: Array, face: Face, side: int, rng: np.random.Generator) -> Array:
    """The photo, its heads in strokes finer than the body's; nobody looks at the likeness elsewhere."""
    out = photo.copy()
    height, width = near.shape
    seed = int(rng.integers(1 << 63))  # one for all heads, whichever comes first
    for head in (face, *face.others):
        rows, columns = _within(head.y, HEAD * head.ry, height), _within(head.x, HEAD * head.rx, width)
        part = photo[rows, columns]
        if min(part.shape[:2]) < 16:
            continue  # the face lies outside of the picture
        own = np.random.default_rng(seed)
        where, corner = near[rows, columns], (rows.start, columns.start)
        skin = strokes.painted(part, own, 0.0035 * side, 2.0, 0.0, where, passes=1, corner=corner)
        out[rows, columns] = mix(part, skin, 0.45)
    return out


def _within(middle: float, reach: float, end: int) -> slice:
    first, last = int(middle - reach), int(middle + reach) + 1
    return slice(min(max(0, first), end), min(max(0, last), end))


def _behind(whole: Array, near: Array, params: Params, side: int, rng: np.random.Generator) -> Array:
    # The subject's own colours may not leak into the broad strokes around it.
    weight = 1 - near + 1e-3
    filled = blur(whole * weight[..., None], 0.03 * side) / blur(weight, 0.03 * side)[..., None]
    base = mix(blur(whole, 0.002 * side), filled, smoothstep(0.05, 0.7, blur(near, 0.006 * side)))
    if params.grounding > 0:
        base = mix(base, _ground(params, near.shape, side, rng), params.grounding)
    away = params.lift * (1 - blur(near, 0.10 * side)) * 0.5
    base = clip(base * (1 - away[..., None]))
    return mix(base, strokes.painted(base, rng, params.brush * side, 1.2, params.relief), 0.9)


def _ground(params: Params, shape: tuple[int, ...], side: int, rng: np.random.Generator) -> Array:
    """Colours that drift, and whirls in them: rings of light around a bright core, which strokes then follow."""
    height, width = shape
    t = 0.42 * smoothstep(0.2, 0.8, fbm(rng, height, width, side * 0.5, 4, stretch=2.2))
    if params.swirls:  # at half size: nothing in them is finer than a stroke
        light = np.zeros((height // 2, width // 2), np.float32)
        y, x = np.mgrid[0 : height // 2, 0 : width // 2].astype(np.float32) * 2
        for _ in range(params.swirls):
            radius = side * rng.uniform(0.05, 0.12)
            far = np.hypot(x - rng.uniform(0, width), y - rng.uniform(-0.02, 0.75) * height) / np.float32(radius)
            rings = np.exp(-far * 0.85) * (0.66 + 0.34 * np.cos(far * 5.2))
            light = np.maximum(light, np.maximum(np.exp(-((far * 2.6) ** 2)), rings))
        t = np.maximum(t, clip(resize(light, width, height)))
    else:
        t = t / 0.42 * (0.35 + 0.65 * np.linspace(1, 0.25, height, dtype=np.float32)[:, None])
    return gradient(params.ground, np.clip(t, 0, 1))


def _styled(rgb: Array, params: Params, tools: Tools) -> Array:
    """One pass for what is behind and the subject: it is what oils wait for most."""
    height, width = rgb.shape[:2]
    small = resize(rgb, max(32, round(width * STYLED)), max(32, round(height * STYLED)))
    out = resize(tools.networks.stylize(clip(small), params.style), width, height)
    # Bring the style's overall light back to the photo's.
    return clip(out * float(np.clip(luma(rgb).mean() / max(float(luma(out).mean()), 0.05), 0.6, 1.6)))


STEP = Step(Params, run, cost=4.0)
