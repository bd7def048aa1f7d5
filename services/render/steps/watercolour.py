"""Paints the photo as a watercolour: flat washes that pool at their edges, pencil below, and paper left white around.

What is behind the subject becomes one loose wet wash in its own colours that runs out into the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps import sheet
from services.render.steps.face import ellipse
from services.render.steps.layers.board import fbm
from services.render.steps.oils import enlarged
from services.render.steps.params import Color, color, number, weights
from services.render.steps.pixels import Array, blur, clip, guided_gray, luma, mix, resize, smoothstep
from services.render.steps.step import Step
from services.render.steps.strokes import neural
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    paper: Color = color("#fbf7ef")
    wash: Color = color("#a9c6d3")  # mixed into the colours behind
    washing: float = number(0.45, 0, 1)
    style: tuple[float, ...] = weights(26, {8: 1.0})
    strength: float = number(0.3, 0, 1)
    flat: float = number(0.75, 0, 1)
    pencil: float = number(0.4, 0, 1)
    pool: float = number(0.6, 0, 1.5)
    dark: Color = color("#2f3f66")  # the two washes that a monochrome photo is painted in
    pale: Color = color("#e9c9a4")
    spread: float = number(0.16, 0.02, 0.5)  # how far the wash runs beyond the subject


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo, alpha, face = enlarged(ws)
    height, width = alpha.shape
    side = max(height, width)
    rng = np.random.default_rng([ws.job.seed & 0xFFFFFFFF, 23])
    if ws.monochrome:
        photo = _two_washes(luma(photo), params)
    near = smoothstep(0.15, 0.85, alpha)
    guard = ellipse(face, height, width, 0.55) * near
    paper = np.asarray(params.paper, np.float32)
    body = _washes(photo, guard, params, side, rng, tools)
    whole = photo if ws.backdrop is None or ws.monochrome else resize(ws.backdrop, width, height)
    behind = _loose(whole, near, params, side, rng)
    reach = sheet.drawn(rng, near, face, params.spread)
    edge = params.pool * np.exp(-(((reach - 0.16) / 0.075) ** 2)) * 0.22
    veil = smoothstep(0.02, 0.30, reach)
    ground = paper * (1 - veil[..., None] * (1 - behind))
    ground = ground * (1 - edge[..., None] * (1 - behind * 0.7))
    # The subject too ends in paper where the photo cut it off.
    hem = smoothstep(0.0, 0.22, reach + 0.05) if ws.found else veil
    painted = mix(ground, body, near * hem)
    # Beyond the cut-out's edge the photo holds continued colours only: no lines there, and few in the face.
    lines = _pencil(luma(photo), side) * params.pencil * smoothstep(0.9, 1.0, blur(near, 2)) * (1 - 0.7 * guard) * hem
    painted = painted * (1 - lines[..., None] * np.array([0.62, 0.60, 0.55], np.float32))
    painted = _splatter(painted, behind, reach, side, rng)
    tooth = fbm(rng, height, width, side / 150, 3) - 0.5
    deep = 1 - luma(painted)
    ws.picture = clip(painted * (1 + tooth * (0.05 + 0.16 * deep * (1 - 0.6 * guard)))[..., None])
    ws.likeness = clip(0.13 + 0.88 * np.power(photo, 0.80))
    ws.face = face


def _two_washes(light: Array, params: Params) -> Array:
    """A cool dark over a warm pale, as painters do without a colour to copy: (H, W) -> (H, W, 3), light kept."""
    dark, pale = np.asarray(params.dark, np.float32), np.asarray(params.pale, np.float32)
    tint = mix(
        np.broadcast_to(dark, (*light.shape, 3)), np.broadcast_to(pale, (*light.shape, 3)), smoothstep(0.1, 0.75, light)
    )
    return clip(light[..., None] + (tint - luma(tint)[..., None]) * np.float32(0.9))


def _washes(photo: Array, guard: Array, params: Params, side: int, rng: np.random.Generator, tools: Tools) -> Array:
    flat = np.stack([guided_gray(photo[..., c], radius=side / 110, eps=0.006, reduce=2) for c in range(3)], axis=-1)
    wobble = 0.003 * side * (1 - guard)
    height, width = guard.shape
    drift = [(fbm(rng, height, width, side / 22, 3) - 0.5) * wobble * 2 for _ in range(2)]
    warped = _warp(flat, drift[0], drift[1])
    fine = photo - np.stack([blur(photo[..., c], side / 220) for c in range(3)], axis=-1)
    body = mix(photo, warped + fine * 0.25, params.flat * (1 - 0.62 * guard))
    small = resize(clip(body), max(32, round(width * 0.7)), max(32, round(height * 0.7)))
    styled = resize(tools.networks.stylize(clip(small), params.style), width, height)
    full = neural(clip(body), styled, params.strength, 0.15, 0.12)
    body = mix(body, full, 1 - 0.8 * guard)
    light = luma(body)[..., None]
    body = light + (body - light) * 1.18  # pigment
    pooled = blur(luma(flat), side / 500)
    gy, gx = np.gradient(pooled)
    rims = clip(np.hypot(gx, gy) * side / 90) * (1 - 0.75 * guard)
    body = body * (1 - params.pool * 0.22 * rims[..., None])
    blooms = fbm(rng, height, width, side / 7, 4) - 0.5
    body = body * (1 + blooms * 0.16 * (1 - 0.8 * guard))[..., None]
    # Watercolour has no black: paper shines through the darkest wash.
    return clip(0.13 + 0.88 * np.power(clip(body), 0.80))


def _loose(whole: Array, near: Array, params: Params, side: int, rng: np.random.Generator) -> Array:
    weight = 1 - near + 1e-3
    soft = blur(whole * weight[..., None], 0.035 * side) / blur(weight, 0.035 * side)[..., None]
    height, width = near.shape
    flow = fbm(rng, height, width, side / 3, 5)
    tint = np.asarray(params.wash, np.float32)
    share = np.clip(params.washing + (flow - 0.5) * 0.9, 0, 1)
    soft = mix(np.power(clip(soft), 0.7), np.broadcast_to(tint, soft.shape), share)
    light = luma(soft)[..., None]
    soft = light + (soft - light) * 1.25
    return clip(0.30 + 0.70 * soft + (fbm(rng, height, width, side / 6, 5) - 0.5)[..., None] * 0.30)


def _pencil(light: Array, side: int) -> Array:
    """0..1: dark lines, where the light dips against its surroundings."""
    dip = blur(light, side / 420) - blur(light, side / 900)
    return smoothstep(0.012, 0.06, dip)


def _warp(rgb: Array, dy: Array, dx: Array) -> Array:
    height, width = dy.shape
    y, x = np.mgrid[0:height, 0:width]
    rows = np.clip(np.rint(y + dy).astype(int), 0, height - 1)
    columns = np.clip(np.rint(x + dx).astype(int), 0, width - 1)
    return np.asarray(rgb[rows, columns])


def _splatter(painted: Array, behind: Array, reach: Array, side: int, rng: np.random.Generator) -> Array:
    """A few drops beside the wash."""
    height, width = reach.shape
    out = painted.copy()
    for _ in range(70):
        x, y = rng.random() * width, rng.random() * height
        radius = side * (0.0012 + 0.0045 * rng.random() ** 4)
        value = reach[int(y), int(x)]
        if not -0.16 < value < 0.06:
            continue
        top, left, size = max(0, int(y - radius - 2)), max(0, int(x - radius - 2)), int(2 * radius + 5)
        part = (slice(top, top + size), slice(left, left + size))
        yy = np.arange(top, min(height, top + size), dtype=np.float32)[:, None] - y
        xx = np.arange(left, min(width, left + size), dtype=np.float32)[None, :] - x
        distance = np.hypot(xx, yy) / radius
        drop = np.clip((1 - distance) * radius, 0, 1) * (0.45 + 0.4 * np.clip(distance, 0, 1) ** 4)
        out[part] *= 1 - drop[..., None] * (1 - behind[int(y), int(x)])
    return out


STEP = Step(Params, run, cost=3.0)
