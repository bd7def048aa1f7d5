"""A small birthday cake on a stand, with icing that runs down and one lit candle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.render.steps.layers.board import Board, Pen, jitter
from services.render.steps.layers.layer import Layer
from services.render.steps.params import Color, color, colors, number, point
from services.render.steps.pixels import Array


@dataclass(frozen=True, slots=True)
class Params:
    at: tuple[float, float] = point(0.16, 0.92)  # the middle of the stand's foot
    size: float = number(0.16, 0.02, 0.6)  # the stand's width
    sponge: Color = color("#f3c9a5")
    icing: Color = color("#fff3ec")
    stand: Color = color("#f7f3ee")
    berries: tuple[Color, ...] = colors("#d9485a", "#e2606a", "#c23a50")
    flame: Color = color("#ffd27a")


def paint(board: Board, params: Params, rng: np.random.Generator) -> None:
    unit, x, y = board.px(params.size), params.at[0] * board.width, params.at[1] * board.height
    pen = Pen(board, int(y - unit * 1.6), int(y + unit * 0.2))

    def at(px: float, py: float) -> tuple[float, float]:
        return x + px * unit, y - py * unit

    def slab(ink: Array, low: float, high: float, half: float) -> None:
        """A round slice seen from a little above: a body with an elliptic foot and top."""
        shade = np.asarray(ink, np.float32)
        for share, tone in ((1.0, 0.86), (0.72, 0.95), (0.36, 1.02)):  # rounded by three tones towards the light
            shift = (1 - share) * half * (0.7 if board.light[0] >= params.at[0] else -0.7)
            px, top = at(shift, high)
            _, foot = at(shift, low)
            wide, lit = half * share * unit, np.clip(shade * tone, 0, 1)
            pen.polygon(np.array([(px - wide, top), (px + wide, top), (px + wide, foot), (px - wide, foot)]), lit)
            pen.dab(px, foot, wide, wide * 0.16, lit)
        pen.dab(*at(0, high), half * unit, half * unit * 0.16, np.clip(shade * 1.05, 0, 1))

    slab(np.asarray(params.stand) * 0.92, 0.0, 0.03, 0.22)
    slab(np.asarray(params.stand) * 0.9, 0.03, 0.18, 0.06)
    slab(np.asarray(params.stand), 0.18, 0.21, 0.5)
    for low, high, half in ((0.23, 0.52, 0.42), (0.54, 0.78, 0.28)):
        slab(np.asarray(params.sponge), low, high, half)
        icing = np.asarray(params.icing, np.float32)
        for drip in np.linspace(-1, 1, 9):
            long = rng.uniform(0.05, 0.15)
            px, py = at(drip * half * 0.93, high - long * (1 - 0.3 * abs(drip)))
            pen.dab(px, py, half * unit * 0.13, unit * long, icing * (0.93 if abs(drip) > 0.6 else 1.0))
        pen.dab(*at(0, high), half * unit * 1.02, half * unit * 0.20, np.clip(icing * 1.02, 0, 1))
    for berry in np.linspace(-1, 1, 7):
        ink = jitter(rng, params.berries[rng.integers(len(params.berries))], 0.06)
        px, py = at(berry * 0.36, 0.545 + 0.02 * (1 - berry**2))
        pen.dab(px, py, unit * 0.045, unit * 0.042, ink)
        pen.dab(px - unit * 0.012, py - unit * 0.014, unit * 0.012, unit * 0.010, np.clip(ink + 0.35, 0, 1))
    stick = [at(-0.022, 0.80), at(0.022, 0.80), at(0.022, 1.06), at(-0.022, 1.06)]
    pen.polygon(np.array(stick), np.array([0.56, 0.72, 0.86], np.float32))
    flame = [at(-0.035, 1.12), at(0.0, 1.07), at(0.035, 1.12), at(0.012, 1.20), at(0.0, 1.26), at(-0.014, 1.20)]
    pen.polygon(np.array(flame), np.asarray(params.flame, np.float32))
    pen.lay()
    rows, columns = board.grid()
    distance = np.hypot(columns - x, rows - (y - 1.14 * unit)) / unit
    reach = np.exp(-distance * 6.0) * 0.9 * (board.alpha > 0) + np.exp(-distance * 2.2) * 0.15 * (board.alpha > 0)
    board.add_light(params.flame, np.asarray(reach, np.float32))


LAYER = Layer(Params, paint)
