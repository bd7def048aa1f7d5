"""Captions: where they are set, and that they can be read."""

from __future__ import annotations

import numpy as np
import pytest

from services.render.steps import (
    caption,
)
from services.render.steps.pixels import Array, luma
from services.render.steps.workspace import Face, Workspace
from tests.scene_subjects import job, tools, workspace
from tests.unit.services.render.steps.prepared import SIDE


def _caption_rows(ws: Workspace, params: caption.Params) -> Array:
    before = ws.need_picture().copy()
    caption.STEP.run(ws, params, tools())
    return np.flatnonzero(np.abs(ws.need_picture() - before).max(axis=(1, 2)) > 0.3)


def test_caption_is_set_where_it_was_asked_for() -> None:
    ws = workspace(job(b""), caption="sechs Monate", side=SIDE)
    ws.picture = np.zeros((SIDE, 256, 3), np.float32)
    rows = _caption_rows(ws, caption.Params(y=0.2, size=0.1))
    assert rows.size
    assert abs(rows.mean() / SIDE - 0.2) < 0.03


@pytest.mark.parametrize("y", [0.15, 0.3, 0.5, 0.7])
def test_caption_is_never_over_the_face(y: float) -> None:
    ws = workspace(job(b""), caption="premier anniversaire", side=SIDE)
    ws.picture = np.zeros((SIDE, 256, 3), np.float32)
    ws.face = Face(128, 120, 40, 60)
    rows = _caption_rows(ws, caption.Params(y=y))
    assert rows.size
    assert not ((rows > 62) & (rows < 178)).any()


@pytest.mark.parametrize("font", ["serif", "hand", "round"])
def test_a_long_caption_stays_inside(font: str) -> None:
    ws = workspace(job(b""), caption="m" * 40, side=SIDE)
    ws.picture = np.zeros((SIDE, 256, 3), np.float32)
    caption.STEP.run(ws, caption.Params(font=font, size=0.2), tools())
    assert ws.need_picture()[:, :4].max() < 0.2
    assert ws.need_picture()[:, -4:].max() < 0.2


@pytest.mark.parametrize(("behind", "dark"), [(0.1, False), (0.9, True)])
def test_words_stay_legible_over_whatever_came_to_stand_behind_them(behind: float, dark: bool) -> None:
    ws = workspace(job(b""), caption="sechs Monate", side=SIDE)
    ws.picture = np.full((SIDE, 256, 3), behind, np.float32)
    ink, shade = ((0.15, 0.15, 0.2), (1.0, 1.0, 1.0)) if not dark else ((1.0, 1.0, 0.95), (0.1, 0.1, 0.2))
    caption.STEP.run(ws, caption.Params(ink=ink, shade=shade), tools())
    light = luma(ws.need_picture())
    assert (light.min() < 0.3) if dark else (light.max() > 0.8)


def test_no_caption_changes_nothing() -> None:
    ws = workspace(job(b""))
    ws.picture = np.full((20, 20, 3), 0.5, np.float32)
    caption.STEP.run(ws, caption.Params(), tools())
    assert (ws.picture == 0.5).all()
