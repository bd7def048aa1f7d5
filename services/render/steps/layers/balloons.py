"""Hot-air balloons: gores in two colours on a round body, lit from the light, ropes and a basket."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, soft_edge
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, ParamError, colors, custom
from services.render.steps.pixels import mix

Place = tuple[float, float, float]


def places(value: object) -> tuple[Place, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("must be [[x, y, radius], ...]")
    out: list[Place] = []
    for at, place in enumerate(value):
        match place:
            case [int() | float() as x, int() | float() as y, int() | float() as r] if 0 < r <= 0.5:
                out.append((float(x), float(y), float(r)))
            case _:
                raise ParamError(f"[{at}]", "must be [x, y, radius 0 to 0.5], fractions of the canvas")
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Params:
    places: tuple[Place, ...] = custom((), places)
    inks: tuple[Color, ...] = colors("#d9564a", "#2f8f9d", "#e08a3c", "#7a67ad", "#c94f7c")
    pale: tuple[Color, ...] = colors("#fbeed2", "#f6c65b", "#ffe3d0")


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    for x, y, radius in params.places:
        ink, pale = params.inks[rng.integers(len(params.inks))], params.pale[rng.integers(len(params.pale))]
        _balloon(board, x * board.width, y * board.height, board.px(radius), ink, pale, rng)


def _balloon(board: Board, x: float, y: float, radius: float, one: Color, two: Color, rng: np.random.Generator) -> None:
    pen = Pen(board, int(y - radius), int(y + radius * 2.6) + 2)
    rope, weave = np.array([0.30, 0.22, 0.18], np.float32), np.array([0.52, 0.35, 0.22], np.float32)
    for side in (-1, -0.4, 0.4, 1):
        pen.line(
            np.array([(x + side * radius * 0.2, y + radius * 1.25), (x + side * radius * 0.13, y + radius * 1.68)]),
            max(0.7, radius * 0.012),
            rope,
        )
    pen.polygon(
        np.array(
            [
                (x - radius * 0.16, y + radius * 1.66),
                (x + radius * 0.16, y + radius * 1.66),
                (x + radius * 0.125, y + radius * 1.93),
                (x - radius * 0.125, y + radius * 1.93),
            ]
        ),
        weave,
    )
    pen.polygon(
        np.array(
            [
                (x - radius * 0.17, y + radius * 1.64),
                (x + radius * 0.17, y + radius * 1.64),
                (x + radius * 0.165, y + radius * 1.71),
                (x - radius * 0.165, y + radius * 1.71),
            ]
        ),
        weave * 0.7,
    )
    pen.lay()
    top, left, reach = int(y - radius) - 2, int(x - radius) - 2, int(radius * 2) + 5
    v = (np.arange(top, top + int(radius * 2.4) + 4, dtype=np.float32)[:, None] - y) / radius
    u = (np.arange(left, left + reach, dtype=np.float32)[None, :] - x) / radius
    # A sphere above; below it narrows to the mouth.
    taper = np.clip((v - 0.25) / 1.05, 0, 1)
    half = np.where(v < 0.25, np.sqrt(np.maximum(1 - np.minimum(v, 0.25) ** 2, 0)), 0.968 - 0.768 * taper**1.15)
    half = np.where((v < -1) | (v > 1.3), 0, half)
    across = np.clip(u / np.maximum(half, 1e-3), -1, 1)
    gores = np.arcsin(across) / np.pi * 12 + rng.random()
    stripe = np.clip(np.sin(gores * np.pi) * 5, -1, 1) * 0.5 + 0.5
    ink = mix(np.asarray(one, np.float32)[None, None], np.asarray(two, np.float32)[None, None], stripe[..., None])
    to_x, to_y = board.light[0] * board.width - x, board.light[1] * board.height - y
    far = max(1.0, float(np.hypot(to_x, to_y)))
    depth = np.sqrt(np.maximum(1 - across**2 * 0.95 - np.minimum(np.abs(v), 1) ** 2 * 0.4, 0))
    shine = np.clip(0.30 + 0.5 * (across * half * to_x / far + v * to_y / far) + 0.42 * depth, 0, 1.2)
    shade = ink * np.asarray(board.ambient, np.float32) * 0.85
    ink = shade + (ink - shade) * np.clip(shine * 1.25, 0, 1)[..., None]
    ink += (1 - ink) * (np.clip(shine - 0.62, 0, 1) * 0.9)[..., None] * np.asarray(board.light_color, np.float32)
    pleat = 1 - 0.10 * np.abs(np.cos(gores * np.pi)) ** 10
    # Above the middle the outline is a circle; a distance across alone would leave its top jagged.
    inside = np.where(v < 0, 1 - np.hypot(u, v), half - np.abs(u))
    mask = soft_edge(np.asarray(inside * radius, np.float32), 0.9)
    board.over(np.clip(ink * pleat[..., None], 0, 1).astype(np.float32), np.asarray(mask, np.float32), top, left)


LAYER = Layer(Params, paint)
