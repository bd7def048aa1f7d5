"""Brush strokes over a picture, coarse to fine (Hertzmann, "Painterly Rendering with Curved Brush Strokes", 1998).

A helper of ``backdrop`` and ``oils``: strokes follow the contours of what they paint, fine ones are set only where
coarse ones lost something, and each lies a little higher or lower, so that light grazes them. Which strokes are set
changes none of the others: each has a cell of a grid, and its chance is the cell's.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from services.render.steps.chance import Chance
from services.render.steps.pixels import Array, blur, from_bytes, luma, resize, to_bytes

SCALE = 2  # drawn at twice the size: Pillow's lines have no antialiasing


def painted(
    rgb: Array,
    rng: np.random.Generator,
    size: float,
    detail: float = 1.0,
    relief: float = 0.5,
    where: Array | None = None,
    passes: int = 2,
    corner: tuple[int, int] = (0, 0),
) -> Array:
    """(H, W, 3) -> (H, W, 3). size: px of the widest brush; detail: > 1 sets more fine strokes; relief: 0..1.

    where: (H, W) 0..1, chance that a stroke is set at all; None is everywhere. corner: y, x in px, from 0 up, where
    ``rgb`` lies in a whole of which it is a part: a part that begins elsewhere gets the same strokes. However much is
    painted, ``rng`` gives equally many numbers.
    """
    height, width = rgb.shape[:2]
    canvas = Image.fromarray(to_bytes(blur(rgb, size * 0.5)))
    canvas = canvas.resize((width * SCALE, height * SCALE), Image.Resampling.BILINEAR)
    bumps = Image.new("L", canvas.size, 128) if relief > 0 else None
    flow = _flow(rgb, rng, size)
    for level, seed in enumerate(rng.integers(1 << 63, size=passes).tolist()):
        brush = size / 2.1**level
        if brush < 1.6:
            break
        goal = blur(rgb, brush * 0.35)
        lost: Array | None = None
        if level:
            now = from_bytes(np.asarray(canvas.resize((width, height), Image.Resampling.BOX)))
            lost = blur(np.abs(now - goal).sum(axis=-1), brush * 0.5)
        _level(canvas, bumps, goal, flow, brush, lost, 0.10 / detail, where, seed, corner)
    out = from_bytes(np.asarray(canvas.resize((width, height), Image.Resampling.BOX)))
    if bumps is not None:
        high = blur(from_bytes(np.asarray(bumps.resize((width, height), Image.Resampling.BOX))), 0.7)
        graze = np.clip((high - np.roll(high, (1, 1), axis=(0, 1))) * 0.35 * relief, -0.06, 0.06)
        out = np.clip(out + graze[..., None], 0, 1)
    return np.asarray(out, np.float32)


def _flow(rgb: Array, rng: np.random.Generator, size: float) -> Array:
    """Angle (H, W) along which strokes run: the structure tensor's weak axis, and a slow swirl where there is none."""
    height, width = rgb.shape[:2]
    w, h = max(16, width // 4), max(16, height // 4)
    light = blur(luma(resize(rgb, w, h)), 1.0)
    gy, gx = np.gradient(light)
    sigma = max(1.0, size / 4)
    xx, yy, xy = blur(gx * gx, sigma), blur(gy * gy, sigma), blur(gx * gy, sigma)
    swirl = resize(rng.random((5, 5), dtype=np.float32), w, h) * 1.6 - 0.8
    # The double-angle vector of the tensor plus that of the swirl, weighted by how clear the structure is.
    cos2, sin2 = -(xx - yy), -2 * xy
    floor = 2e-5
    cos2, sin2 = cos2 + floor * np.cos(2 * swirl), sin2 + floor * np.sin(2 * swirl)
    return resize(np.stack([cos2, sin2], axis=-1) / np.hypot(cos2, sin2)[..., None], width, height)


def _level(
    canvas: Image.Image,
    bumps: Image.Image | None,
    goal: Array,
    flow: Array,
    brush: float,
    lost: Array | None,
    tolerance: float,
    where: Array | None,
    seed: int,
    corner: tuple[int, int],
) -> None:
    height, width = goal.shape[:2]
    step = max(1.5, brush * 0.62)
    cells = np.mgrid[_cells(corner[0], height, step), _cells(corner[1], width, step)].reshape(2, -1)
    chance = Chance.of(seed, *cells)
    # The cell's place, and up to a cell from it.
    y, x = ((cells[axis] - 1 + 2 * chance.uniform(axis)) * step - corner[axis] for axis in (0, 1))
    rows, columns = np.clip(y.astype(int), 0, height - 1), np.clip(x.astype(int), 0, width - 1)
    keep = np.ones(len(rows), bool)
    if lost is not None:
        keep &= lost[rows, columns] > tolerance
    if where is not None:
        keep &= where[rows, columns] > chance.uniform(2)
    kept = np.flatnonzero(keep)
    kept = kept[np.argsort(chance.some(kept).uniform(3))]  # which lies over which
    rows, columns, chance = rows[kept], columns[kept], chance.some(kept)
    count = len(kept)
    if count == 0:
        return
    tone, red, green, blue = np.concatenate([chance.normal(4), chance.normal(6)], axis=1).T
    ink = goal[rows, columns] * (1 + tone[:, None] * 0.035) + np.stack([red, green, blue], axis=1) * 0.010
    ink = np.clip(ink * 255, 0, 255).astype(np.uint8)
    length = brush * (1.6 + 2.0 * chance.uniform(8)) / 2
    # Plain lists: Pillow's own drawing is fast, taking arrays apart one number at a time is not.
    points = _curves(flow, rows, columns, length).reshape(count, -1).tolist()
    widths = np.maximum(1, brush * SCALE * (0.55 + 0.40 * chance.uniform(9))).astype(int).tolist()
    heights = (60 + 136 * chance.uniform(10)).astype(int).tolist()
    inks = [tuple(row) for row in ink.tolist()]
    paint, bump = ImageDraw.Draw(canvas), ImageDraw.Draw(bumps) if bumps is not None else None
    for i in range(count):
        line, wide, fill = points[i], widths[i], inks[i]
        paint.line(line, fill=fill, width=wide)
        if bump is not None:
            bump.line(line, fill=heights[i], width=wide)
        if wide > 9:  # round ends
            half = wide / 2 - 1
            for x, y in (line[:2], line[-2:]):
                paint.ellipse((x - half, y - half, x + half, y + half), fill=fill)


def _cells(start: int, length: int, step: float) -> slice:
    """Those that touch ``length`` px from ``start`` on, when each is ``step`` px long."""
    return slice(int(start // step), int(np.ceil((start + length) / step)))


def _curves(flow: Array, rows: Array, columns: Array, length: Array) -> Array:
    """(N, 5, 2) points x, y at SCALE: two steps either way along the flow."""
    height, width = flow.shape[:2]

    def heading(y: Array, x: Array, last: Array | None) -> Array:
        double = flow[np.clip(y.astype(int), 0, height - 1), np.clip(x.astype(int), 0, width - 1)]
        angle = np.arctan2(double[:, 1], double[:, 0]) / 2
        step = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        if last is not None:
            step *= np.where((step * last).sum(axis=1) < 0, -1, 1)[:, None]
        return np.asarray(step, np.float64)

    start = np.stack([columns, rows], axis=1).astype(np.float64)
    first = heading(start[:, 1], start[:, 0], None)
    arms = []
    for sign in (-1, 1):
        at, last, arm = start, first * sign, []
        for _ in range(2):
            last = heading(at[:, 1], at[:, 0], last)
            at = at + last * (length / 2)[:, None]
            arm.append(at)
        arms.append(arm)
    return np.asarray(np.stack([arms[0][1], arms[0][0], start, arms[1][0], arms[1][1]], axis=1) * SCALE)


def neural(rgb: Array, stylized: Array, strength: float, color: float, limit: float = 0.10) -> Array:
    """Lays a stylised version over ``rgb``: its luma by ``strength``, its colour by ``strength * color``.

    Mean luma stays: the networks darken or bleach as their model painting did, which isn't this scene's light.
    ``limit`` bounds how far the luma may move: on smooth gradients these networks ring, and rings must stay texture.
    """
    light, styled = luma(rgb), luma(stylized)
    span = max(8.0, min(rgb.shape[:2]) / 14)
    styled = styled - blur(styled, span) + blur(light, span)
    chroma, other = rgb - light[..., None], stylized - luma(stylized)[..., None]
    light = light + limit * np.tanh((styled - light) * strength / limit)
    chroma = chroma + (other - chroma) * (strength * color)
    return np.asarray(np.clip(light[..., None] + chroma, 0, 1), np.float32)
