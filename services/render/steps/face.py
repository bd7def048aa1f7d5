"""Finds the subject's heads, to protect them (never to recognise anybody).

Sets ``face``: what the detector sees on the cut-out; where it sees nothing (a child from behind, a drawing), an
estimate: skin-like and central parts of the cut-out, the upper ones first. One that is too large costs style, not
likeness.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from services.render.steps import detect
from services.render.steps.params import number
from services.render.steps.pixels import Array, blur, resize
from services.render.steps.place import box
from services.render.steps.step import Step
from services.render.steps.workspace import Face, Tools, Workspace

_AIR = 0.08  # around the subject, in shares of its box: hair that the cut-out lost


@dataclass(frozen=True, slots=True)
class Params:
    size: float = number(1.0, 0.5, 2.0)  # scales what is found


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo, alpha = ws.need_photo(), ws.need_alpha()
    found = [face for face in detect.heads(photo, _looked_at(alpha), tools.networks) if _covered(face, alpha)]
    first, *others = found or [_estimated(photo, alpha, monochrome=ws.monochrome)]
    sized = [replace(face, rx=face.rx * params.size, ry=face.ry * params.size) for face in (first, *others)]
    ws.face = replace(sized[0], others=tuple(sized[1:]))


def _looked_at(alpha: Array) -> tuple[int, int, int, int]:
    height, width = alpha.shape
    left, top, right, bottom = box(alpha)
    x, y = round(_AIR * (right - left)), round(_AIR * (bottom - top))
    return max(0, left - x), max(0, top - y), min(width, right + x), min(height, bottom + y)


def _covered(face: Face, alpha: Array) -> bool:
    """Whether it is the subject's: somebody in the background is not."""
    left, right = max(0, round(face.x - face.rx / 2)), round(face.x + face.rx / 2) + 1
    part = alpha[max(0, round(face.y - face.ry / 2)) : round(face.y + face.ry / 2) + 1, left:right]
    return part.size > 0 and float(part.mean()) > 0.5


def _estimated(photo: Array, alpha: Array, *, monochrome: bool) -> Face:
    height, width = alpha.shape
    scale = 160 / max(height, width)
    w, h = max(8, round(width * scale)), max(8, round(height * scale))
    small, cover = resize(photo, w, h), np.clip(resize(alpha, w, h), 0, 1)
    rows, columns = np.flatnonzero((cover > 0.5).any(axis=1)), np.flatnonzero((cover > 0.5).any(axis=0))
    if rows.size == 0:
        return Face(width / 2, height * 0.4, width * 0.2, height * 0.22)
    top, tall = float(rows[0]), float(rows[-1] - rows[0] + 1)
    left, wide = float(columns[0]), float(columns[-1] - columns[0] + 1)
    # A head fills a third to a half of a bust and a quarter of a sitting child.
    radius = max(4.0, 0.21 * min(tall, 1.35 * wide))
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    upper = np.exp(-0.5 * ((y - top - 1.05 * radius) / (0.30 * tall + 1)) ** 2)
    central = np.exp(-0.5 * ((x - left - wide / 2) / (0.45 * wide + 1)) ** 2)
    skin = np.full((h, w), 0.5, np.float32) if monochrome else _skin(small)
    score = blur(np.asarray(cover * (0.12 + skin) * upper * central, np.float32), radius * 0.55)
    cy, cx = np.unravel_index(int(score.argmax()), score.shape)
    return Face((cx + 0.5) / scale, (cy + 0.5) / scale, radius * 0.86 / scale, radius * 1.12 / scale)


def _skin(rgb: Array) -> Array:
    """0..1: nearness to the skin locus in YCbCr (Chai & Ngan, 1999: Cb 77..127, Cr 133..173), which holds for light and
    dark skin alike."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    cb = 128 + 255 * (-0.169 * red - 0.331 * green + 0.5 * blue)
    cr = 128 + 255 * (0.5 * red - 0.419 * green - 0.081 * blue)
    return np.exp(-0.5 * (((cb - 106) / 14) ** 2 + ((cr - 150) / 11) ** 2)).astype(np.float32)


def ellipse(face: Face, height: int, width: int, soft: float = 0.35) -> Array:
    """(height, width) mask: 1 inside the head, falling to 0 over ``soft`` of its radius beyond; so for the others."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.full((height, width), np.inf, np.float32)
    for each in (face, *face.others):
        distance = np.minimum(distance, np.hypot((x - each.x) / max(each.rx, 1), (y - each.y) / max(each.ry, 1)))
    t = np.clip((1 + soft - distance) / soft, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


STEP = Step(Params, run, cost=0.3)
