"""Bytes to pixels: at reduced scale where the format allows, in sRGB, flattened, within limits.

Raises Invalid: MALFORMED_PHOTO, PHOTO_TOO_SMALL, PHOTO_TOO_LARGE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mesh.errors import Invalid
from services.render.decoder import MAX_PIXELS
from services.render.decoding import too_large
from services.render.steps.pixels import Array, from_bytes, luma
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace

PAPER = (0.965, 0.95, 0.925)  # what a transparent photo is laid on: warm paper suits skin better than white


@dataclass(frozen=True, slots=True)
class Params:
    pass


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    job = ws.job
    _check_size(job.width, job.height, ws.min_side)
    decoded = tools.decode(job.format, job.photo)
    ws.photo = from_bytes(decoded.rgb)
    ws.shape = from_bytes(decoded.shape) if decoded.shape is not None else None
    if ws.shape is not None:
        ground = np.array(PAPER, np.float32)
        ws.photo = np.asarray(ground + (ws.photo - ground) * ws.shape[..., None], np.float32)
    ws.monochrome = _is_monochrome(ws.photo)


def _check_size(width: int, height: int, min_side: int) -> None:
    """As ingest read it; the decoder looks for itself again."""
    if min(width, height) < min_side:
        raise Invalid(
            "PHOTO_TOO_SMALL",
            f"This scene needs a photo of at least {min_side} px on its shorter side.",
            field="photo",
            limit=min_side,
        )
    if width * height > MAX_PIXELS:
        raise too_large()


def _is_monochrome(photo: Array) -> bool:
    small = photo[::8, ::8]
    return bool(np.abs(small - luma(small)[..., None]).mean() < 0.012)


STEP = Step(Params, run, cost=1.0)
