"""Sets the cut-out into the canvas so that no side that the photo's border cut off is left in the open.

A cut at the bottom goes behind the foreground; one large cut at a side bleeds off that side of the canvas; where
smaller ones (a shoulder) come to lie in the open is left in ``cuts``, for ``outpaint``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from services.render.steps.params import number
from services.render.steps.pixels import Array, clip, resize
from services.render.steps.step import Step
from services.render.steps.workspace import Cut, Face, Tools, Workspace

BLEEDS = 0.42  # share of its height from which a subject cut at one side stands at that side of the canvas
MOST = 3.2  # enlargement; beyond it a small subject stays small rather than turning to mush


@dataclass(frozen=True, slots=True)
class Params:
    x: float = number(0.5, 0, 1)
    top: float = number(0.22, 0, 0.8)  # where the head's top lies; what is above is sky, for words
    bottom: float = number(1.0, 0.5, 1.3)  # where a subject that the photo cut off ends, behind the foreground
    stand: float = number(0.93, 0.5, 1.2)  # where one ends that the photo holds whole
    wide: float = number(0.94, 0.2, 1.2)


@dataclass(frozen=True, slots=True)
class Borders:
    """Shares of the box's sides that lie on the photo's border, 0..1."""

    left: float
    right: float
    top: float
    bottom: float


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo, alpha, picture, face = ws.need_photo(), ws.need_alpha(), ws.need_picture(), ws.need_face()
    high, wide = picture.shape[:2]
    left, top, right, bottom = box(alpha)
    cuts = _borders(alpha, left, top, right, bottom)
    w, h = right - left, bottom - top
    end = (params.bottom if cuts.bottom > 0.04 else params.stand) * high
    start = -2.0 if cuts.top > 0.12 else params.top * high
    scale = min((end - start) / h, params.wide * wide / w, MOST)
    if cuts.left > BLEEDS and cuts.right > BLEEDS:  # cut on both sides: fill the canvas from side to side
        scale = min(max(scale, wide / w), MOST, 1.15 * (end - start) / h)
    new_w, new_h = max(2, round(w * scale)), max(2, round(h * scale))
    x = params.x * wide - new_w / 2
    if cuts.left > BLEEDS > cuts.right:
        x = -1.0
    elif cuts.right > BLEEDS > cuts.left:
        x = wide - new_w + 1.0
    else:  # the head, not the elbows, goes to the middle, as far as the frame allows
        lean = params.x * wide - ((face.x - left) * scale + x)
        room = max(0.0, (wide - new_w) / 2) + 0.04 * wide
        x += float(np.clip(lean * 0.6, -room, room))
    y = end - new_h
    rgb = resize(photo[top:bottom, left:right], new_w, new_h, Image.Resampling.LANCZOS)
    cover = clip(resize(alpha[top:bottom, left:right], new_w, new_h, Image.Resampling.BICUBIC))
    ws.cuts = _in_the_open(cuts, round(x), new_w, wide)
    ws.layer, ws.layer_alpha = _on_canvas(clip(rgb), cover, round(x), round(y), high, wide)
    ws.face = Face(
        (face.x - left) * scale + round(x), (face.y - top) * scale + round(y), face.rx * scale, face.ry * scale
    )


def box(alpha: Array, level: float = 0.08) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of what is covered; the whole when nothing is."""
    rows, columns = np.flatnonzero((alpha > level).any(axis=1)), np.flatnonzero((alpha > level).any(axis=0))
    if rows.size == 0:
        return 0, 0, alpha.shape[1], alpha.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _borders(alpha: Array, left: int, top: int, right: int, bottom: int) -> Borders:
    height, width = alpha.shape
    solid = alpha > 0.4
    at_left = solid[:, 2].sum() / (bottom - top) if left <= 2 else 0.0
    at_right = solid[:, -3].sum() / (bottom - top) if right >= width - 2 else 0.0
    at_top = solid[2].sum() / (right - left) if top <= 2 else 0.0
    at_bottom = solid[-3].sum() / (right - left) if bottom >= height - 2 else 0.0
    return Borders(float(at_left), float(at_right), float(at_top), float(at_bottom))


def _in_the_open(cuts: Borders, x: int, width: int, wide: int) -> tuple[Cut, ...]:
    """Those cuts at the sides which the canvas's own border does not hide."""
    out = []
    if cuts.left > 0.01 and x > 0:
        out.append(Cut("left", x))
    if cuts.right > 0.01 and x + width < wide:
        out.append(Cut("right", x + width - 1))
    return tuple(out)


def _on_canvas(rgb: Array, cover: Array, x: int, y: int, high: int, wide: int) -> tuple[Array, Array]:
    layer, alpha = np.zeros((high, wide, 3), np.float32), np.zeros((high, wide), np.float32)
    height, width = cover.shape
    y0, y1, x0, x1 = max(0, y), min(high, y + height), max(0, x), min(wide, x + width)
    if y1 > y0 and x1 > x0:
        layer[y0:y1, x0:x1] = rgb[y0 - y : y1 - y, x0 - x : x1 - x]
        alpha[y0:y1, x0:x1] = cover[y0 - y : y1 - y, x0 - x : x1 - x]
    return layer, alpha


STEP = Step(Params, run, cost=0.5)
