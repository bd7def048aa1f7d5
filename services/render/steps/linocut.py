"""Prints the photo as a linocut in a few inks: flat tones with cut edges, a sunburst behind, ink that missed spots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps import hatch
from services.render.steps.layers.board import fbm
from services.render.steps.oils import enlarged
from services.render.steps.params import Color, color, colors, number, whole
from services.render.steps.pixels import Array, blur, clip, guided_gray, luma, mix, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Face, Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    inks: tuple[Color, ...] = colors("#1f2a3c", "#2f6073", "#d8714f", "#f2b981", "#fcf0de")  # dark to light
    ground: Color = color("#f3c98b")
    burst: Color = color("#f8dcab")
    rays: int = whole(22, 0, 80)
    smooth: float = number(0.010, 0.001, 0.05)  # what is smaller is no shape, in shares of the longer side
    carved: float = number(0.5, 0, 1)  # gouge marks where one tone passes into the next
    worn: float = number(0.35, 0, 1)  # ink that did not take


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo, alpha, face = enlarged(ws)
    height, width = alpha.shape
    side = max(height, width)
    rng = np.random.default_rng([ws.job.seed & 0xFFFFFFFF, 41])
    light = luma(photo)
    near = smoothstep(0.35, 0.65, blur(alpha, 0.0015 * side))
    inside = light[near > 0.5] if (near > 0.5).sum() > 64 else light.ravel()
    low, high = (float(v) for v in np.percentile(inside, (2, 98)))
    level = clip((light - low) / max(high - low, 0.1))
    calm = guided_gray(level, radius=params.smooth * side, eps=0.004)
    gouges = hatch.strokes(rng, height, width, 24, side / 260) - 0.5
    body = _printed(calm + gouges * 0.22 * params.carved, params.inks, 0.9 / side * 12)
    picture = mix(_burst(params, face, height, width, side, rng), body, near)
    key = np.asarray(params.inks[0], np.float32)
    outline = smoothstep(0.10, 0.32, np.abs(blur(near, 0.0035 * side) - 0.5) * -2 + 1) * 0.9
    picture = mix(
        picture, np.broadcast_to(key, picture.shape), outline * smoothstep(0.0, 0.4, blur(near, 0.004 * side))
    )
    ws.picture = _worn(picture, params, side, rng)
    ws.likeness = _graded(level, params.inks)
    ws.face = face


def _printed(level: Array, inks: tuple[Color, ...], edge: float) -> Array:
    """(H, W) 0..1 -> flat inks, each edge ``edge`` wide."""
    out = np.broadcast_to(np.asarray(inks[0], np.float32), (*level.shape, 3)).copy()
    for at in range(1, len(inks)):
        middle = at / len(inks)
        share = smoothstep(middle - edge, middle + edge, level)
        out = mix(out, np.broadcast_to(np.asarray(inks[at], np.float32), out.shape), share)
    return out


def _graded(level: Array, inks: tuple[Color, ...]) -> Array:
    """The same inks without edges: what a face keeps its shape in."""
    at = (np.arange(len(inks)) + 0.5) / len(inks)
    return np.stack([np.interp(level, at, [ink[c] for ink in inks]) for c in range(3)], axis=-1).astype(np.float32)


def _burst(params: Params, face: Face, height: int, width: int, side: int, rng: np.random.Generator) -> Array:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dx, dy = x - face.x, y - face.y
    far = np.hypot(dx, dy)
    out = np.broadcast_to(np.asarray(params.ground, np.float32), (height, width, 3))
    if params.rays:
        wobble = (fbm(rng, height, width, side / 10, 3) - 0.5) * 0.10
        wave = np.sin(np.arctan2(dy, dx) * params.rays + wobble * params.rays)
        beam = smoothstep(-0.12, 0.12, wave * np.clip(far / (0.05 * side), 0, 1))
        out = mix(out, np.broadcast_to(np.asarray(params.burst, np.float32), out.shape), beam)
    radius = 1.75 * max(face.rx, face.ry)
    disc = smoothstep(-1.2, 1.2, radius - far + (fbm(rng, height, width, side / 30, 3) - 0.5) * side * 0.006)
    return mix(out, np.broadcast_to(np.asarray(params.inks[-1], np.float32), out.shape), disc * 0.85)


def _worn(picture: Array, params: Params, side: int, rng: np.random.Generator) -> Array:
    height, width = picture.shape[:2]
    spots = fbm(rng, height, width, side / 160, 3, gain=0.7) * 0.7 + fbm(rng, height, width, side / 9, 2) * 0.3
    missed = smoothstep(0.66, 0.78, spots) * params.worn * (0.35 + 0.65 * (1 - luma(picture)))
    paper = np.broadcast_to(np.asarray(params.inks[-1], np.float32), picture.shape)
    return clip(mix(picture, paper, missed))


STEP = Step(Params, run, cost=1.5)
