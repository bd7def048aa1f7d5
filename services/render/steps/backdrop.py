"""Paints the scene's world: layers back to front, brush strokes over them, the style network over those.

A world depends on the scene, the canvas and one of a few variants of the seed; nothing of the photo but whether its
subject is upright or lying goes in. So it is painted once and kept (``Tools.painted``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from services.render.steps import strokes
from services.render.steps.layers import (
    aurora,
    balloons,
    boats,
    bunting,
    cake,
    castle,
    conifers,
    cottage,
    disc,
    fish,
    flowers,
    foliage,
    fronds,
    grass,
    hills,
    leaves,
    mobile,
    motes,
    path,
    planets,
    puffs,
    rainbow,
    rays,
    sky,
    stars,
    sunflowers,
    toy_balloons,
    trunks,
    veil,
    water,
    weed,
)
from services.render.steps.layers.board import Board, blank
from services.render.steps.layers.layer import Layer, Paint
from services.render.steps.params import Color, ParamError, color, custom, number, point, weights
from services.render.steps.pixels import Array, blur, from_bytes, mix, resize, smoothstep, to_bytes
from services.render.steps.step import Step
from services.render.steps.workspace import Light, Painted, Tools, Workspace

VARIANTS = 3  # worlds per scene and canvas; a seed picks one
SHAPE = 0.8  # 4 : 5, a print's shape, upright or lying

LAYERS: Mapping[str, Layer[object]] = MappingProxyType(
    {
        module.__name__.rpartition(".")[2]: module.LAYER
        for module in (
            aurora,
            balloons,
            boats,
            bunting,
            cake,
            castle,
            conifers,
            cottage,
            disc,
            fish,
            flowers,
            foliage,
            fronds,
            grass,
            hills,
            leaves,
            mobile,
            motes,
            path,
            planets,
            puffs,
            rainbow,
            rays,
            sky,
            stars,
            sunflowers,
            toy_balloons,
            trunks,
            veil,
            water,
            weed,
        )
    }
)


def _layers(value: object) -> tuple[Paint, ...]:
    if not isinstance(value, list):
        raise ValueError("must be a list of tables")
    out = []
    for at, table in enumerate(value):
        own = dict(table) if isinstance(table, dict) else {}
        name = own.pop("layer", None)
        if name not in LAYERS:
            raise ParamError(f"[{at}].layer", f"must be one of {', '.join(sorted(LAYERS))}")
        try:
            out.append(LAYERS[name].bind(own))
        except ParamError as error:
            raise ParamError(f"[{at}].{error.where}", error.problem) from None
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Params:
    light: tuple[float, float] = point(0.7, 0.2)
    light_color: Color = color("#fff1d0")
    ambient: Color = color("#c8d4e8")
    back: tuple[Paint, ...] = custom((), _layers)
    last: tuple[Paint, ...] = custom((), _layers)  # over the back's brush strokes: stars, snow
    front: tuple[Paint, ...] = custom((), _layers)
    brush: float = number(0.020, 0, 0.1)  # widest stroke; 0 paints none
    detail: float = number(1.0, 0.1, 5)
    relief: float = number(0.0, 0, 1)
    loose: float = number(0.7, 0, 1)  # how much of the strokes shows over what they were painted from
    style: tuple[float, ...] = weights(26, {0: 1.0})
    strength: float = number(0.35, 0, 1)
    texture: float = number(0.015, 0, 0.3)  # how far the network may move the luma
    hue: float = number(0.15, 0, 1)  # how much of the style's colour comes along
    scale: float = number(0.75, 0.25, 1)  # the network's picture in shares of the canvas: smaller is broader


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    width, height = canvas(ws)
    variant = ws.job.seed % VARIANTS
    world = tools.painted(
        (ws.scene_id, variant, width, height), lambda: _paint(params, width, height, variant, ws.scene_id, tools)
    )
    ws.light = Light(params.light[0] * width, params.light[1] * height, params.light_color, params.ambient)
    ws.picture = from_bytes(world.back)
    ws.front = from_bytes(world.front)


def canvas(ws: Workspace) -> tuple[int, int]:
    """Width and height in px: lying, if the subject does."""
    long, short = ws.side, round(ws.side * SHAPE)
    return (long, short) if _lies(ws.need_alpha()) else (short, long)


def _lies(alpha: Array) -> bool:
    rows, columns = np.flatnonzero((alpha > 0.5).any(axis=1)), np.flatnonzero((alpha > 0.5).any(axis=0))
    return bool(rows.size and columns.size and columns[-1] - columns[0] > 1.3 * (rows[-1] - rows[0]))


def _paint(params: Params, width: int, height: int, variant: int, scene: str, tools: Tools) -> Painted:
    rng = np.random.default_rng([variant, *scene.encode()])
    back = blank(height, width, params.light, params.light_color, params.ambient)
    for paint in params.back:
        paint(back, rng)
    front = blank(height, width, params.light, params.light_color, params.ambient)
    for paint in params.front:
        paint(front, rng)
    top = _top(front)
    back.rgb = _brushed(np.clip(back.rgb, 0, 1), min(width, height), params, rng, tools)
    for paint in params.last:
        paint(back, rng)
    out = np.zeros((height, width, 4), np.uint8)
    if top < height:
        out[top:, :, :3] = to_bytes(_brushed(_spread(front, top), min(width, height), params, rng, tools))
        out[top:, :, 3] = to_bytes(front.alpha[top:])
    return Painted(to_bytes(back.rgb), out)


def _top(front: Board) -> int:
    rows = np.flatnonzero((front.alpha > 0.004).any(axis=1))
    return max(0, int(rows[0]) - 8) if rows.size else front.height


def _spread(front: Board, top: int) -> Array:
    """The front's colours continued into its gaps, so that strokes at its edges pick up nothing else."""
    rgb, alpha = front.rgb[top:], front.alpha[top:]
    out = rgb.copy()
    for sigma in (60.0, 16.0, 4.0):
        mass = blur(alpha, sigma)
        near = blur(rgb * alpha[..., None], sigma) / np.maximum(mass, 1e-4)[..., None]
        share = np.clip(mass * 8, 0, 1)[..., None]
        out = near if sigma == 60.0 else out + (near - out) * share
    return np.asarray(np.clip(out + (rgb - out) * alpha[..., None], 0, 1), np.float32)


def _brushed(rgb: Array, shorter: int, params: Params, rng: np.random.Generator, tools: Tools) -> Array:
    height, width = rgb.shape[:2]
    if params.brush > 0:
        brushed = strokes.painted(rgb, rng, params.brush * shorter, params.detail, params.relief)
        # Where strokes lost much (a balloon's gores, a far tree), more of the drawing shows through them.
        lost = smoothstep(0.06, 0.35, blur(np.abs(brushed - rgb).sum(axis=-1), 2))
        rgb = mix(rgb, brushed, params.loose * (1 - 0.75 * lost))
    if params.strength > 0:
        small = resize(rgb, max(32, round(width * params.scale)), max(32, round(height * params.scale)))
        styled = resize(tools.networks.stylize(np.clip(small, 0, 1), params.style), width, height)
        rgb = strokes.neural(rgb, styled, params.strength, params.hue, params.texture)
    return rgb


STEP = Step(Params, run, cost=4.0)
