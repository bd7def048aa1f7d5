"""Takes dust and fine scratches out of a scanned print: what is thin, stands out, and lies in a calm neighbourhood.

Eyes have catch-lights and clothes have patterns that look like dust: where the neighbourhood is busy nothing is
touched, and inside the head only what is far brighter or darker than skin and eyes get.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from services.render.steps.params import number
from services.render.steps.pixels import Array, blur, clip, from_bytes, luma, mix, smoothstep, to_bytes
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace

_WIDE = 9  # px; from this window on a median is taken of every second pixel


@dataclass(frozen=True, slots=True)
class Params:
    size: float = number(0.004, 0.001, 0.02)  # widest speck, in shares of the longer side
    stands_out: float = number(0.09, 0.02, 0.5)  # least difference in luma to what lies around


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    photo = ws.need_photo()
    window = int(np.clip(round(params.size * max(photo.shape[:2])) * 2 + 1, 3, 11))
    around = _median(photo, window)
    away = np.abs(luma(photo) - luma(around))
    calm = 1 - smoothstep(0.012, 0.035, _busy(luma(around), window))
    # In a busy neighbourhood many pixels stand out: dust is rare, texture is not.
    rare = 1 - smoothstep(0.10, 0.25, blur((away > params.stands_out / 2).astype(np.float32), 4.0 * window))
    speck = smoothstep(params.stands_out * 0.6, params.stands_out, away) * calm * rare
    grown = from_bytes(np.asarray(Image.fromarray(to_bytes(speck)).filter(ImageFilter.MaxFilter(3))))
    ws.photo = clip(mix(photo, around, blur(grown, 0.7)))


def _median(photo: Array, window: int) -> Array:
    """Twice: once takes specks away, twice the ends of a scratch too.

    A wide one looks at every second pixel of its window: a fourth of the samples has nearly the same median, and what a
    pixel costs grows with their number.
    """
    pixels = to_bytes(photo)
    step = 1 if window < _WIDE else 2
    around = np.empty_like(pixels)
    for top, left in np.ndindex(step, step):
        part = Image.fromarray(np.ascontiguousarray(pixels[top::step, left::step]))
        around[top::step, left::step] = np.asarray(part.filter(ImageFilter.MedianFilter(window // step | 1)))
    return from_bytes(np.asarray(Image.fromarray(around).filter(ImageFilter.MedianFilter(3))))


def _busy(light: Array, window: int) -> Array:
    """Local standard deviation of what is left when specks are gone."""
    mean = blur(light, window)
    return np.asarray(np.sqrt(np.maximum(blur(light * light, window) - mean * mean, 0)), np.float32)


STEP = Step(Params, run, cost=0.8)
