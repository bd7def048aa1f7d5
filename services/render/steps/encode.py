"""Pixels to a JPEG that holds nothing else: no EXIF, no profile, no comment (sRGB is what an untagged JPEG means)."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from services.render.picture import Picture
from services.render.steps.params import whole
from services.render.steps.pixels import to_bytes
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace

MAX_BYTES = 900_000
LOWEST = 70


@dataclass(frozen=True, slots=True)
class Params:
    quality: int = whole(91, LOWEST, 95)


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    pixels = to_bytes(ws.need_picture())
    height, width = pixels.shape[:2]
    # From raw bytes: an Image that came out of a file would carry that file's `info` into the save.
    image = Image.frombytes("RGB", (width, height), pixels.tobytes())
    quality = params.quality
    while True:  # without `optimize`: Pillow gives that mode one buffer, which a busy picture overruns
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality, subsampling="4:2:0" if quality < 90 else "4:4:4")
        if out.tell() <= MAX_BYTES or quality <= LOWEST:
            break
        quality -= 3
    ws.result = Picture(out.getvalue(), "image/jpeg", width, height)


STEP = Step(Params, run, cost=0.6)
