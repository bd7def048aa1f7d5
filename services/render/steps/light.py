"""Puts the subject into the scene's light: colour, brightness, direction, rim, and the backdrop's glow around its edge.

Colour statistics move part of the way towards the backdrop's (Reinhard et al., "Color Transfer between Images", 2001,
in CIELAB), less in the face: skin that has turned blue is not a likeness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.face import ellipse
from services.render.steps.params import number
from services.render.steps.pixels import Array, blur, clip, from_lab, luma, resize, smoothstep, to_lab
from services.render.steps.step import Step
from services.render.steps.workspace import Light, Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    match: float = number(0.3, 0, 1)  # of colour, towards the ambient and the light
    bright: float = number(0.0, -30, 30)  # added to the subject's L* (0..100)
    contrast: float = number(1.0, 0.5, 1.3)
    side: float = number(0.3, 0, 1)  # how much darker the far side is
    rim: float = number(0.5, 0, 2)
    wrap: float = number(0.35, 0, 1)


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    layer, alpha = ws.need_layer()
    light = ws.need_light()
    height, width = alpha.shape
    face = ellipse(ws.need_face(), height, width, 0.5)
    top, bottom, left, right = _window(alpha)
    part = (slice(top, bottom), slice(left, right))
    lit = _matched(layer[part], alpha[part], ws.need_picture()[part], face[part], light, params)
    field = _field(alpha)
    towards = _towards(field, light)[part]
    shade = params.side * (1 - smoothstep(-0.35, 0.5, towards)) * (1 - 0.45 * face[part])
    ambient = np.asarray(light.ambient, np.float32)
    lit = lit * (1 - shade[..., None] * (1 - 0.45 * ambient))
    lit = lit * (1 + 0.16 * params.side * smoothstep(0.0, 0.7, towards)[..., None])
    inside = smoothstep(0.25, 0.95, alpha[part])
    sigma = 0.006 * min(height, width)
    edge = (
        clip(1.35 - blur(alpha, sigma)[part]) ** 2 * inside
        + 0.25 * clip(1.2 - blur(alpha, sigma * 4)[part]) ** 2 * inside
    )
    rim = params.rim * edge * smoothstep(0.10, 0.75, towards) * (0.5 + 0.5 * luma(lit))
    lit = lit + (1 - clip(lit)) * clip(rim)[..., None] * np.asarray(light.color, np.float32)
    glow = blur(ws.need_picture(), 0.02 * min(height, width))[part]
    wrap = params.wrap * clip(1 - blur(alpha, sigma * 1.5)[part]) * inside
    lit = lit + (1 - clip(lit)) * glow * clip(wrap)[..., None]
    out = layer.copy()
    out[part] = clip(lit)
    ws.layer = out


def _window(alpha: Array) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero((alpha > 0).any(axis=1)), np.flatnonzero((alpha > 0).any(axis=0))
    if rows.size == 0:
        return 0, alpha.shape[0], 0, alpha.shape[1]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _matched(rgb: Array, alpha: Array, behind: Array, face: Array, light: Light, params: Params) -> Array:
    lab = to_lab(rgb)
    weight = (alpha > 0.5).astype(np.float32)
    total = max(float(weight.sum()), 1.0)
    mean = (lab * weight[..., None]).sum(axis=(0, 1)) / total
    goal = (
        to_lab(np.asarray([[light.ambient]], np.float32))[0, 0] * 0.6
        + to_lab(np.asarray([[light.color]], np.float32))[0, 0] * 0.4
    )
    scene = to_lab(resize(behind, 32, 32)).reshape(-1, 3).mean(axis=0) * 0.5 + goal * 0.5
    share = (params.match * (1 - 0.5 * face))[..., None]
    tint = (scene - mean * 0.35)[1:] * np.float32(0.5)
    norm = float(np.hypot(*tint))
    tint = tint * min(1.0, 22 / max(norm, 1e-3))  # a cast, never a coat of paint
    lab[..., 1:] += tint * share
    level = float(np.clip(mean[0], 30, 75))
    lab[..., 0] = (lab[..., 0] - level) * params.contrast + level + params.bright * (1 - 0.35 * face)
    return from_lab(lab)


def _field(alpha: Array) -> Array:
    """A rounded body guessed from the outline: 0 outside, rising inwards."""
    height, width = alpha.shape
    w, h = width // 4, height // 4
    small = resize(alpha, w, h)
    unit = min(h, w)
    return np.asarray(
        0.45 * blur(small, 0.03 * unit) + 0.35 * blur(small, 0.07 * unit) + 0.2 * blur(small, 0.13 * unit)
    )


def _towards(field: Array, light: Light) -> Array:
    """-1..1 (H, W): how much the guessed surface faces the light."""
    h, w = field.shape
    gy, gx = np.gradient(field)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    to_x, to_y = light.x / 4 - x, light.y / 4 - y
    far = np.maximum(np.hypot(to_x, to_y), 1)
    steep = np.hypot(gx, gy)
    facing = (
        -(gx * to_x + gy * to_y)
        / far
        / np.maximum(steep, 1e-5)
        * np.clip(steep / max(float(steep.max()) * 0.35, 1e-5), 0, 1)
    )
    return np.clip(resize(blur(np.asarray(facing, np.float32), 0.012 * min(h, w)), w * 4, h * 4), -1, 1)


STEP = Step(Params, run, cost=0.8)
