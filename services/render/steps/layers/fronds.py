"""Big leaves of a jungle that reach into the picture: feathered palms, or broad leaves with a pale rib."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.balloons import Place, places
from services.render.steps.layers.board import Board, Pen, jitter
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, colors, custom, number, whole, word
from services.render.steps.pixels import Array


@dataclass(frozen=True, slots=True)
class Params:
    shape: str = word("palm", "palm", "broad")
    places: tuple[Place, ...] = custom((), places)  # foot of a bunch x, y, and its leaves' length
    count: int = whole(7, 1, 40)  # leaves of a bunch
    towards: float = number(0.0, -2, 2)  # a bunch's middle in quarter turns: 0 up, 1 into the picture, 2 down
    fan: float = number(0.5, 0, 1)  # how far it opens, in half turns
    droop: float = number(0.35, 0, 1)
    inks: tuple[Color, ...] = colors("#2f7a4a", "#3f9455", "#256644", "#58aa5c")
    rib: Color = color("#bfdc8f")
    opacity: float = number(1.0, 0, 1)
    soften: float = number(0.0, 0, 12)


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    pen = Pen(board, 0, board.height)
    for x, y, size in params.places:
        inwards = 1.0 if x < 0.5 else -1.0
        for at in rng.permutation(params.count):
            spread = (at + 0.5) / params.count - 0.5 + rng.normal(0, 0.04)
            angle = np.pi * (0.5 * params.towards * inwards + params.fan * spread)
            long = board.px(size) * rng.uniform(0.75, 1.15)
            ink = jitter(rng, params.inks[rng.integers(len(params.inks))], 0.08)
            spine = _spine(x * board.width, y * board.height, angle, long, params.droop)
            if params.shape == "palm":
                _palm(pen, spine, long, ink, rng)
            else:
                _broad(pen, spine, long, ink, params.rib)
    pen.lay(params.opacity, params.soften)


def _spine(x: float, y: float, angle: float, long: float, droop: float) -> Array:
    """(N, 2): starts along ``angle`` (0 is up, clockwise), bends down by its own weight."""
    t = np.linspace(0, 1, 22)
    return np.stack([x + np.sin(angle) * long * t, y - np.cos(angle) * long * t + droop * long * 0.8 * t**2.2], axis=1)


def _sides(spine: Array) -> Array:
    """(N, 2) unit normals."""
    step = np.gradient(spine, axis=0)
    step = step / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-6)[:, None]
    return np.stack([-step[:, 1], step[:, 0]], axis=1)


def _palm(pen: Pen, spine: Array, long: float, ink: Array, rng: np.random.Generator) -> None:
    normals, step = _sides(spine), np.gradient(spine, axis=0)
    step = step / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-6)[:, None]
    for side, shade in ((-1, 0.82), (1, 1.0)):
        for at in range(2, len(spine)):
            t = at / (len(spine) - 1)
            leaflet = long * 0.30 * np.sin(np.pi * (0.12 + 0.86 * t)) ** 0.7 * rng.uniform(0.85, 1.1)
            tip = spine[at] + (normals[at] * side * 0.75 + step[at] * 0.62 + (0, 0.16)) * leaflet
            base = step[at] * long * 0.017
            pen.polygon(
                np.array(
                    [spine[at] - base, (spine[at] + tip) / 2 + base * 0.9, tip, (spine[at] + tip) / 2 - base * 0.9]
                ),
                np.clip(jitter(rng, ink, 0.05) * shade, 0, 1),
            )
    pen.line(spine, max(0.8, long * 0.012), ink * 0.75)


def _broad(pen: Pen, spine: Array, long: float, ink: Array, rib: Color) -> None:
    normals = _sides(spine)
    t = np.linspace(0, 1, len(spine))
    half = (long * 0.17 * np.sin(np.pi * np.clip(t * 1.08 - 0.08, 0, 1)) ** 0.75)[:, None]
    pen.polygon(np.concatenate([spine - normals * half, spine[::-1]]), ink * 0.86)
    pen.polygon(np.concatenate([spine + normals * half, spine[::-1]]), np.clip(ink * 1.08, 0, 1))
    for at in range(4, len(spine) - 2, 2):  # side veins
        for side in (-1, 1):
            tip = spine[min(len(spine) - 1, at + 2)] + normals[at] * side * half[at] * 0.9
            pen.line(np.stack([spine[at], tip]), max(0.6, long * 0.004), np.clip(ink * 1.25, 0, 1))
    pen.line(spine, max(0.9, long * 0.011), np.asarray(rib, np.float32))


LAYER = Layer(Params, paint)
