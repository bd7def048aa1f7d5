"""Drawn photos that have gone through the first steps, for tests of the later ones."""

from __future__ import annotations

import numpy as np

from services.render.steps import (
    cut_out,
    decode,
    face,
    place,
    refine,
)
from services.render.steps.workspace import Light, Workspace
from tests.scene_subjects import child, job, saved, tools, workspace

SIDE = 320


def photo(width: int = 240, height: int = 300, **more: object) -> Workspace:
    ws = workspace(job(saved(child(width, height), "png"), kind="png"), side=SIDE, **more)
    decode.STEP.run(ws, decode.Params(), tools())
    return ws


def cut(**more: object) -> Workspace:
    ws = photo(**more)
    cut_out.STEP.run(ws, cut_out.Params(), tools())
    refine.STEP.run(ws, refine.Params(), tools())
    face.STEP.run(ws, face.Params(), tools())
    return ws


def placed(params: place.Params | None = None, **more: object) -> Workspace:
    ws = cut(**more)
    ws.picture = np.full((SIDE, 256, 3), (0.2, 0.3, 0.6), np.float32)
    ws.light = Light(220, 40, (1.0, 0.9, 0.7), (0.6, 0.6, 0.8))
    place.STEP.run(ws, params or place.Params(), tools())
    return ws
