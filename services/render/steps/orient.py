"""Turns the pixels so that "up" is up: EXIF 2.32, tag 0x0112, as ingest read it before it removed the EXIF."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mesh.errors import Invalid
from services.render.steps.pixels import Array
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    pass


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    if ws.job.orientation not in range(1, 9):
        raise Invalid("MALFORMED_PHOTO", "The photo's orientation is not one of 1 to 8.", field="photo.orientation")
    ws.photo = turned(ws.need_photo(), ws.job.orientation)
    ws.shape = turned(ws.shape, ws.job.orientation) if ws.shape is not None else None


def turned(a: Array, orientation: int) -> Array:
    """(H, W, ...) as stored -> as seen."""
    if orientation >= 5:  # rows and columns are exchanged
        a = a.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        a = a[:, ::-1]
    if orientation in (3, 4, 7, 8):
        a = a[::-1]
    return np.ascontiguousarray(a)


STEP = Step(Params, run, cost=0.1)
