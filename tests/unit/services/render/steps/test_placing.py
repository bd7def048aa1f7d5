"""The subject in its scene: where it stands, its light, its shadow, what lies before and behind it."""

from __future__ import annotations

import numpy as np
import pytest

from services.render.steps import (
    blend_face,
    compose,
    face,
    light,
    outpaint,
    place,
    shadow,
    unify,
)
from services.render.steps.pixels import blur, luma
from services.render.steps.workspace import Cut, RecipeOrder
from tests.scene_subjects import job, tools, workspace
from tests.unit.services.render.steps.prepared import SIDE, cut, placed


def test_place_puts_the_cut_edge_behind_the_foreground_and_the_head_below_the_words() -> None:
    ws = placed(place.Params(top=0.25, bottom=1.0))
    _, alpha = ws.need_layer()
    rows = np.flatnonzero((alpha > 0.5).any(axis=1))
    assert rows[0] >= 0.22 * SIDE
    assert rows[-1] >= SIDE - 2
    where = ws.need_face()
    assert abs(where.x - 128) < 12
    assert where.y > rows[0]


def test_place_says_which_cuts_lie_in_the_open() -> None:
    ws = cut()
    alpha = ws.need_alpha().copy()
    alpha[240:] = 1.0  # shoulders that reach both sides of the photo
    ws.alpha = alpha
    ws.picture = np.zeros((SIDE, 256, 3), np.float32)
    place.STEP.run(ws, place.Params(wide=0.8, bottom=1.0, top=0.2), tools())
    assert [cut.side for cut in ws.cuts] == ["left", "right"]
    assert 0 < ws.cuts[0].column < ws.cuts[1].column < 255
    assert not placed().cuts


@pytest.mark.parametrize("bottom", [False, True])
def test_place_hides_a_cut_at_the_top_behind_the_canvas_s_own_border(bottom: bool) -> None:
    ws = cut()
    alpha = np.zeros((300, 240), np.float32)
    alpha[: 300 if bottom else 200, 10:230] = 1.0
    ws.alpha = alpha
    ws.picture = np.zeros((SIDE, 256, 3), np.float32)
    place.STEP.run(ws, place.Params(bottom=1.0), tools())
    _, placed = ws.need_layer()
    assert placed[0].max() > 0.9
    assert (placed[-1].max() > 0.9) == bottom


@pytest.mark.parametrize("side", ["left", "right"])
def test_outpaint_lets_a_cut_shoulder_round_off(side: str) -> None:
    """A shoulder that the photo's side cut must not end in a straight vertical line on the canvas."""
    ws = workspace(job(b""), side=SIDE)
    layer, alpha = np.zeros((200, 160, 3), np.float32), np.zeros((200, 160), np.float32)
    layer[60:, 40:120], alpha[60:, 40:120] = (0.2, 0.4, 0.6), 1.0
    ws.layer, ws.layer_alpha = layer, alpha
    ws.cuts = (Cut(side, 40 if side == "left" else 119),)
    outpaint.STEP.run(ws, outpaint.Params(reach=0.25), tools())
    grown, cover = ws.need_layer()
    if side == "left":
        grown, cover = grown[:, ::-1], cover[:, ::-1]
    ends = [np.flatnonzero(row > 0.5)[-1] for row in cover[61:]]
    assert ends == sorted(ends), "it widens downwards"
    assert ends[0] < 125
    assert 130 < ends[-1] < 142
    assert np.abs(grown[190, 125] - (0.2, 0.4, 0.6)).max() < 0.1, "in the subject's own colour"
    assert np.array_equal(cover[:, :110], (alpha[:, ::-1] if side == "left" else alpha)[:, :110])


def test_light_darkens_the_far_side_and_spares_the_face() -> None:
    ws = placed()
    before, alpha = ws.need_layer()
    light.STEP.run(ws, light.Params(side=0.9, rim=0, wrap=0, match=0), tools())
    after, _ = ws.need_layer()
    change = luma(after) - luma(before)
    solid = alpha > 0.95
    left, right = solid.copy(), solid.copy()
    left[:, 90:] = False
    right[:, :166] = False
    assert change[left].mean() < change[right].mean() - 0.02


def test_light_rims_the_lit_edge() -> None:
    ws = placed()
    before, alpha = ws.need_layer()
    light.STEP.run(ws, light.Params(side=0, rim=2, wrap=0, match=0), tools())
    after, _ = ws.need_layer()
    rim = (alpha > 0.5) & (blur(alpha, 3) < 0.8)
    _, x = np.nonzero(rim)
    gain = (luma(after) - luma(before))[rim]
    assert gain[x > 150].mean() > gain[x < 100].mean() + 0.01


def test_unify_styles_clothes_more_than_the_face() -> None:
    ws = placed()
    before, alpha = ws.need_layer()
    unify.STEP.run(ws, unify.Params(strength=1, face=0.1), tools())
    after, _ = ws.need_layer()
    head = face.ellipse(ws.need_face(), SIDE, 256, 0.1) * (alpha > 0.95) > 0.99
    body = (alpha > 0.95) & (np.arange(SIDE)[:, None] > 0.85 * SIDE)
    change = np.abs(after - before).mean(axis=-1)
    assert change[body].mean() > 2 * change[head].mean()
    assert ws.likeness is before


def test_blend_face_gives_the_face_back_in_the_paintings_colours() -> None:
    ws = placed()
    own, alpha = ws.need_layer()
    ws.likeness = own
    red = np.array([1.0, 0.5, 0.5], np.float32)
    noise = np.random.default_rng(2).normal(0, 0.15, own.shape).astype(np.float32)
    ws.layer = np.asarray(np.clip(own * red + noise, 0, 1), np.float32)
    painted = ws.layer
    blend_face.STEP.run(ws, blend_face.Params(keep=1.0), tools())
    after, _ = ws.need_layer()
    head = face.ellipse(ws.need_face(), SIDE, 256, 0.1) * (alpha > 0.95) > 0.99
    rough = [np.std(luma(a - blur(a, 2))[head]) for a in (painted, after, own)]
    assert rough[1] < 0.5 * rough[0] + 0.5 * rough[2], "the noise is gone"
    green = [float(a[head][:, 1].mean()) for a in (painted, after, own)]
    assert green[1] < 0.2 * green[2] + 0.8 * green[0], "the palette is not"
    assert np.array_equal(after[-20:], painted[-20:])


def test_blend_face_without_paint_before_it_is_a_mistake_in_the_recipe() -> None:
    with pytest.raises(RecipeOrder):
        blend_face.STEP.run(placed(), blend_face.Params(), tools())


def test_a_shadow_falls_away_from_the_light_and_the_foreground_darkens_what_it_touches() -> None:
    ws = placed()
    front = np.zeros((SIDE, 256, 4), np.float32)
    front[290:] = (0.1, 0.8, 0.1, 1.0)
    ws.front = front
    world, (body, alpha) = ws.need_picture(), ws.need_layer()
    shadow.STEP.run(ws, shadow.Params(cast=1, contact=1), tools())
    fallen = (world - ws.need_picture()).mean(axis=-1) * (alpha < 0.02)
    assert fallen[:, :128].sum() > 1.5 * fallen[:, 128:].sum(), "the light stands at the right"
    darker = (body - ws.need_layer()[0]).mean(axis=-1)
    inside = alpha > 0.9
    assert darker[285:290][inside[285:290]].mean() > 0.05
    assert darker[:200].max() < 0.01


def test_snow_in_the_air_darkens_nobody() -> None:
    ws = placed()
    front = np.zeros((SIDE, 256, 4), np.float32)
    front[::12, ::12] = 1.0
    ws.front = front
    body, _ = ws.need_layer()
    shadow.STEP.run(ws, shadow.Params(cast=0, contact=1), tools())
    assert np.abs(ws.need_layer()[0] - body).max() < 0.01


def test_compose_layers_back_to_front() -> None:
    ws = placed()
    front = np.zeros((SIDE, 256, 4), np.float32)
    front[300:] = (0.1, 0.8, 0.1, 1.0)
    ws.front = front
    compose.STEP.run(ws, compose.Params(), tools())
    picture = ws.need_picture()
    assert np.allclose(picture[-1], (0.1, 0.8, 0.1), atol=0.01)
    assert np.allclose(picture[2, 2], (0.2, 0.3, 0.6), atol=0.01)
    layer, alpha = ws.need_layer()
    head = face.ellipse(ws.need_face(), SIDE, 256, 0.1) * alpha > 0.99
    assert np.abs(picture - layer)[head].mean() < 0.01


def test_what_floats_in_front_never_covers_the_face() -> None:
    ws = placed()
    ws.front = np.ones((SIDE, 256, 4), np.float32)
    compose.STEP.run(ws, compose.Params(), tools())
    where = ws.need_face()
    layer, _ = ws.need_layer()
    for y in (where.y, where.y - 0.9 * where.ry, where.y + 0.9 * where.ry):
        at = (int(y), int(where.x))
        assert np.allclose(ws.need_picture()[at], layer[at], atol=0.02)
