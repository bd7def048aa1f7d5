"""Each step's contract, on small drawn photos whose outline and face are known."""

from __future__ import annotations

import numpy as np
import pytest

from services.render.steps import (
    backdrop,
    blend_face,
    caption,
    compose,
    cut_out,
    decode,
    detail,
    encode,
    face,
    finish,
    frame,
    light,
    linocut,
    mend,
    oils,
    outpaint,
    pastel,
    pencil,
    place,
    refine,
    shadow,
    soft_background,
    tone,
    unfade,
    unify,
    watercolour,
    white_balance,
)
from services.render.steps.pixels import Array, blur, luma
from services.render.steps.workspace import Cut, Face, Light, RecipeOrder, Workspace
from tests.scene_subjects import FACE, FlatNetworks, child, job, markers, outline, pixels, saved, tools, workspace

SIDE = 320


def _photo(width: int = 240, height: int = 300, **more: object) -> Workspace:
    ws = workspace(job(saved(child(width, height), "png"), kind="png"), side=SIDE, **more)
    decode.STEP.run(ws, decode.Params(), tools())
    return ws


def _cut(**more: object) -> Workspace:
    ws = _photo(**more)
    cut_out.STEP.run(ws, cut_out.Params(), tools())
    refine.STEP.run(ws, refine.Params(), tools())
    face.STEP.run(ws, face.Params(), tools())
    return ws


def _placed(params: place.Params | None = None, **more: object) -> Workspace:
    ws = _cut(**more)
    ws.picture = np.full((SIDE, 256, 3), (0.2, 0.3, 0.6), np.float32)
    ws.light = Light(220, 40, (1.0, 0.9, 0.7), (0.6, 0.6, 0.8))
    place.STEP.run(ws, params or place.Params(), tools())
    return ws


def test_a_step_before_what_it_needs_is_a_mistake_in_the_recipe() -> None:
    with pytest.raises(RecipeOrder):
        tone.STEP.run(workspace(job(b"")), tone.Params(), tools())


def test_cut_out_finds_what_the_network_sees() -> None:
    ws = _photo()
    cut_out.STEP.run(ws, cut_out.Params(), tools())
    assert ws.found
    assert ws.need_alpha().shape == (300, 240)


@pytest.mark.parametrize("mask", [np.zeros((320, 320), np.float32), np.ones((320, 320), np.float32)])
def test_without_a_subject_a_soft_oval_is_taken(mask: Array) -> None:
    ws = _photo()
    cut_out.STEP.run(ws, cut_out.Params(), tools(FlatNetworks(mask)))
    assert not ws.found
    alpha = ws.need_alpha()
    assert alpha[150, 120] > 0.99
    assert alpha[0, 0] < 0.01


def test_a_photo_that_brings_transparency_is_cut_out_already() -> None:
    ws = _photo()
    ws.shape = outline(240, 300)
    cut_out.STEP.run(ws, cut_out.Params(), tools(FlatNetworks(np.zeros((320, 320), np.float32))))
    assert np.array_equal(ws.need_alpha(), ws.shape)


def test_refine_finds_the_true_edge_from_a_blurred_one() -> None:
    ws = _photo()
    true = outline(240, 300)
    ws.alpha = np.asarray(blur(true, 4.0), np.float32)
    rough = np.abs(ws.alpha - true).mean()
    refine.STEP.run(ws, refine.Params(), tools())
    assert np.abs(ws.need_alpha() - true).mean() < 0.5 * rough
    assert 0 <= ws.need_alpha().min() <= ws.need_alpha().max() <= 1


def test_refine_takes_the_old_background_out_of_the_edge() -> None:
    """On red, a subject from a green wall shows no green rim."""
    height, width = 200, 200
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    true = np.clip(60.5 - np.hypot(x - 100, y - 100), 0, 1)
    true = np.asarray(blur(true.astype(np.float32), 1.5), np.float32)
    subject, wall = np.array([0.8, 0.3, 0.3], np.float32), np.array([0.1, 0.9, 0.1], np.float32)
    ws = _photo()
    ws.photo = wall + (subject - wall) * true[..., None]
    ws.alpha, ws.found = true, True
    refine.STEP.run(ws, refine.Params(), tools())
    band = (ws.need_alpha() > 0.2) & (ws.need_alpha() < 0.95)
    assert band.sum() > 50
    assert ws.need_photo()[band][:, 1].mean() < 0.40, "the subject's green is 0.3, the wall's 0.9"


def test_refine_drops_what_was_half_seen_beside_the_subject_and_keeps_what_hangs_below() -> None:
    coarse = np.zeros((300, 240), np.float32)
    coarse[60:160, 90:150] = 1.0
    coarse[80:140, 0:60] = 0.5  # a flag beside it
    coarse[160:, 100:140] = 0.5  # legs in shadow
    kept = refine._supported(coarse, 3.6)
    assert kept[90:130, 10:50].max() < 0.05
    assert kept[170:290, 105:135].min() > 0.4
    assert kept[70:150, 100:140].min() > 0.95


def test_a_doubt_inside_the_subject_is_no_hole() -> None:
    ws = _photo()
    alpha = outline(240, 300)
    alpha[100:112, 110:122] = 0.4
    ws.alpha = alpha
    refine.STEP.run(ws, refine.Params(), tools())
    assert ws.need_alpha()[100:112, 110:122].min() > 0.95


def test_face_lies_over_the_drawn_face() -> None:
    ws = _cut()
    found = ws.need_face()
    assert abs(found.x / 240 - FACE[0]) < 0.06
    assert abs(found.y / 300 - FACE[1]) < 0.08
    mask = face.ellipse(found, 300, 240)
    y, x = np.mgrid[0:300, 0:240]
    drawn = ((x / 240 - FACE[0]) / FACE[2]) ** 2 + ((y / 300 - FACE[1]) / FACE[3]) ** 2 < 0.8
    assert mask[drawn].mean() > 0.85


@pytest.mark.parametrize("skin", ["#f4d3bd", "#c08a64", "#5a3a28"])
def test_face_is_found_for_light_and_dark_skin(skin: str) -> None:
    ws = workspace(job(saved(child(skin=skin), "png"), kind="png"))
    decode.STEP.run(ws, decode.Params(), tools())
    cut_out.STEP.run(ws, cut_out.Params(), tools())
    face.STEP.run(ws, face.Params(), tools())
    assert abs(ws.need_face().y / 300 - FACE[1]) < 0.1


def test_tone_lifts_a_dark_photo_and_leaves_a_good_one_nearly_alone() -> None:
    dark, good = _photo(), _photo()
    dark.photo = np.asarray(dark.need_photo() * 0.25, np.float32)
    before = good.need_photo()
    for ws in (dark, good):
        tone.STEP.run(ws, tone.Params(), tools())
    assert luma(dark.need_photo()).mean() > 0.33
    assert np.abs(good.need_photo() - before).mean() < 0.12


def test_white_balance_takes_half_of_a_cast_away() -> None:
    ws = _photo()
    cast = np.array([1.0, 0.85, 0.6], np.float32)
    ws.photo = np.asarray(ws.need_photo() * cast, np.float32)
    before = ws.need_photo()[20, 20]
    white_balance.STEP.run(ws, white_balance.Params(strength=1), tools())
    after = ws.need_photo()[20, 20]
    assert after[2] / after[0] > before[2] / before[0] * 1.1


def test_white_balance_and_tone_add_no_colour_to_a_monochrome_photo() -> None:
    ws = _photo()
    ws.monochrome = True
    gray = luma(ws.need_photo())
    ws.photo = np.stack([gray] * 3, axis=-1)
    white_balance.STEP.run(ws, white_balance.Params(warmth=0.1), tools())
    tone.STEP.run(ws, tone.Params(), tools())
    assert np.ptp(ws.need_photo(), axis=-1).max() < 1e-3


def test_unfade_gives_each_channel_its_range_back() -> None:
    ws = _photo()
    before = ws.need_photo()
    faded = np.array([0.7, 0.5, 0.4], np.float32), np.array([0.2, 0.3, 0.35], np.float32)
    pale = ws.photo = before * faded[0] + faded[1]
    unfade.STEP.run(ws, unfade.Params(strength=1), tools())
    after = ws.need_photo()
    spans = np.ptp(after.reshape(-1, 3), axis=0) / np.ptp(pale.reshape(-1, 3), axis=0)
    assert spans[2] > spans[0] > 1.5, "what faded most gains most"
    assert not ws.monochrome
    assert luma(after).std() > 0.8 * luma(before).std() > 1.3 * luma(pale).std()


def test_unfade_makes_a_sepia_print_black_and_white() -> None:
    ws = _photo()
    gray = luma(ws.need_photo())[..., None]
    ws.photo = np.asarray(gray * np.array([0.75, 0.62, 0.45], np.float32) + 0.15, np.float32)
    assert unfade.one_hue(ws.photo)
    before = np.ptp(ws.photo, axis=-1).mean()
    unfade.STEP.run(ws, unfade.Params(), tools())
    assert ws.monochrome, "later steps must not bring colour in"
    assert np.ptp(ws.need_photo(), axis=-1).mean() < 0.4 * before


def test_a_photo_with_colours_is_no_sepia_print() -> None:
    assert not unfade.one_hue(_photo().need_photo())


def test_mend_takes_dust_away_and_leaves_the_face() -> None:
    ws = _photo()
    clean = ws.need_photo()
    dusty = clean.copy()
    for y, x in ((20, 30), (60, 200), (110, 40)):
        dusty[y : y + 2, x : x + 2] = 0.98
    dusty[40, 10:60] = 0.98  # a scratch
    ws.photo = dusty
    mend.STEP.run(ws, mend.Params(), tools())
    away, left = np.abs(dusty - clean).sum(), np.abs(ws.need_photo() - clean)
    wall = (slice(0, 130), slice(0, 70))
    assert left[wall].sum() < 0.4 * away
    at = (slice(90, 125), slice(95, 145))  # eyes, nose and mouth
    assert left[at].max() < 0.05


def test_detail_removes_noise_and_keeps_edges() -> None:
    ws = _photo()
    clean = ws.need_photo()
    rng = np.random.default_rng(1)
    ws.photo = np.asarray(np.clip(clean + rng.normal(0, 0.02, clean.shape), 0, 1), np.float32)
    detail.STEP.run(ws, detail.Params(denoise=1, clarity=0, sharpen=0), tools())
    wall = (slice(4, 40), slice(4, 40))
    assert np.std(luma(ws.need_photo())[wall] - luma(clean)[wall]) < 0.012
    step = np.abs(np.diff(luma(clean)[:, 120])).max()
    assert np.abs(np.diff(luma(ws.need_photo())[:, 120])).max() > 0.7 * step


def test_soft_background_softens_only_what_is_behind() -> None:
    ws = _cut()
    before = ws.backdrop
    assert before is not None
    soft_background.STEP.run(ws, soft_background.Params(dim=0, bloom=0), tools())
    after, inside = ws.need_picture(), outline(240, 300) > 0.99
    assert np.abs(after - ws.need_photo())[inside].mean() < 0.01
    wall = (slice(2, 60), slice(2, 40))
    assert np.std(luma(after)[wall]) < np.std(luma(before)[wall])


def test_place_puts_the_cut_edge_behind_the_foreground_and_the_head_below_the_words() -> None:
    ws = _placed(place.Params(top=0.25, bottom=1.0))
    _, alpha = ws.need_layer()
    rows = np.flatnonzero((alpha > 0.5).any(axis=1))
    assert rows[0] >= 0.22 * SIDE
    assert rows[-1] >= SIDE - 2
    where = ws.need_face()
    assert abs(where.x - 128) < 12
    assert where.y > rows[0]


def test_place_says_which_cuts_lie_in_the_open() -> None:
    ws = _cut()
    alpha = ws.need_alpha().copy()
    alpha[240:] = 1.0  # shoulders that reach both sides of the photo
    ws.alpha = alpha
    ws.picture = np.zeros((SIDE, 256, 3), np.float32)
    place.STEP.run(ws, place.Params(wide=0.8, bottom=1.0, top=0.2), tools())
    assert [cut.side for cut in ws.cuts] == ["left", "right"]
    assert 0 < ws.cuts[0].column < ws.cuts[1].column < 255
    assert not _placed().cuts


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
    ws = _placed()
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
    ws = _placed()
    before, alpha = ws.need_layer()
    light.STEP.run(ws, light.Params(side=0, rim=2, wrap=0, match=0), tools())
    after, _ = ws.need_layer()
    rim = (alpha > 0.5) & (blur(alpha, 3) < 0.8)
    _, x = np.nonzero(rim)
    gain = (luma(after) - luma(before))[rim]
    assert gain[x > 150].mean() > gain[x < 100].mean() + 0.01


def test_unify_styles_clothes_more_than_the_face() -> None:
    ws = _placed()
    before, alpha = ws.need_layer()
    unify.STEP.run(ws, unify.Params(strength=1, face=0.1), tools())
    after, _ = ws.need_layer()
    head = face.ellipse(ws.need_face(), SIDE, 256, 0.1) * (alpha > 0.95) > 0.99
    body = (alpha > 0.95) & (np.arange(SIDE)[:, None] > 0.85 * SIDE)
    change = np.abs(after - before).mean(axis=-1)
    assert change[body].mean() > 2 * change[head].mean()
    assert ws.likeness is before


def test_blend_face_gives_the_face_back_in_the_paintings_colours() -> None:
    ws = _placed()
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
        blend_face.STEP.run(_placed(), blend_face.Params(), tools())


def test_a_shadow_falls_away_from_the_light_and_the_foreground_darkens_what_it_touches() -> None:
    ws = _placed()
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
    ws = _placed()
    front = np.zeros((SIDE, 256, 4), np.float32)
    front[::12, ::12] = 1.0
    ws.front = front
    body, _ = ws.need_layer()
    shadow.STEP.run(ws, shadow.Params(cast=0, contact=1), tools())
    assert np.abs(ws.need_layer()[0] - body).max() < 0.01


def test_compose_layers_back_to_front() -> None:
    ws = _placed()
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
    ws = _placed()
    ws.front = np.ones((SIDE, 256, 4), np.float32)
    compose.STEP.run(ws, compose.Params(), tools())
    where = ws.need_face()
    layer, _ = ws.need_layer()
    for y in (where.y, where.y - 0.9 * where.ry, where.y + 0.9 * where.ry):
        at = (int(y), int(where.x))
        assert np.allclose(ws.need_picture()[at], layer[at], atol=0.02)


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


PAINT = [(module.STEP, module.Params()) for module in (linocut, oils, pastel, pencil, watercolour)]


@pytest.mark.parametrize("step", PAINT, ids=["linocut", "oils", "pastel", "pencil", "watercolour"])
def test_portraits_change_the_face_least(step: tuple[object, object]) -> None:
    ws = _cut()
    original, _, where = oils.enlarged(ws)
    made, params = step
    made.run(ws, params, tools())  # type: ignore[attr-defined]
    painted, likeness = ws.need_picture(), ws.likeness
    assert likeness is not None
    blend_face.STEP.run(ws, blend_face.Params(), tools())
    picture = ws.need_picture()
    assert picture.shape == original.shape
    assert max(picture.shape) == SIDE
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    core = np.hypot((x - where.x) / where.rx, (y - where.y) / where.ry) < 0.6
    corner = (slice(0, 40), slice(0, 40))
    change = np.abs(luma(picture) - luma(original))
    assert change[core].mean() < 0.5 * change[corner].mean() + 0.05
    own = luma(likeness) - blur(luma(likeness), 3)
    astray = [np.abs(luma(a) - blur(luma(a), 3) - own)[core].mean() for a in (painted, picture)]
    assert astray[1] < 0.5 * astray[0], "the face has its own detail back"


def test_backdrop_is_the_same_for_every_photo_and_follows_how_the_subject_lies() -> None:
    pictures = []
    sky = backdrop.LAYERS["sky"].bind({})
    params = backdrop.Params(back=(sky,), strength=0.0)
    for width, height, mask in (
        (240, 300, None),
        (200, 330, None),
        (330, 200, np.pad(np.ones((100, 300), np.float32), ((110, 110), (10, 10)))),
    ):
        ws = _photo(width, height)
        ws.alpha = (
            np.asarray(outline(width, height))
            if mask is None
            else FlatNetworks(mask).cut_out(np.zeros((height, width, 3), np.float32))
        )
        backdrop.STEP.run(ws, params, tools())
        pictures.append(ws.need_picture())
    assert np.array_equal(pictures[0], pictures[1])
    assert pictures[0].shape == (SIDE, 256, 3)
    assert pictures[2].shape == (256, SIDE, 3)


def test_finish_brings_a_large_picture_to_size_and_leaves_a_small_one() -> None:
    for shape, expected in (((640, 480, 3), (320, 240, 3)), ((100, 80, 3), (100, 80, 3))):
        ws = workspace(job(b""), side=SIDE)
        ws.picture = np.full(shape, 0.5, np.float32)
        finish.STEP.run(ws, finish.Params(vignette=1, grain=1), tools())
        assert ws.need_picture().shape == expected
        assert ws.need_picture()[0, 0].mean() < 0.5


@pytest.mark.parametrize("look", ["mat", "deckle"])
def test_a_frame_covers_the_border_and_nothing_else(look: str) -> None:
    ws = workspace(job(b""), side=SIDE)
    ws.picture = np.full((SIDE, 256, 3), 0.2, np.float32)
    frame.STEP.run(ws, frame.Params(look=look, width=0.05, corner=0.05, paper=(1.0, 1.0, 1.0), bevel=0), tools())
    picture = ws.need_picture()
    assert picture.shape == (SIDE, 256, 3)
    assert picture[:2].min() > 0.99
    assert picture[:, :2].min() > 0.99
    assert np.allclose(picture[40:-40, 40:-40], 0.2)


def test_a_mat_has_its_fine_line() -> None:
    ws = workspace(job(b""), side=SIDE)
    ws.picture = np.full((SIDE, 256, 3), 1.0, np.float32)
    frame.STEP.run(ws, frame.Params(width=0.08, paper=(1.0, 1.0, 1.0), ink=(0.0, 0.0, 0.0), line=1, bevel=0), tools())
    dark = np.flatnonzero(ws.need_picture()[SIDE // 2, :128].mean(axis=-1) < 0.5)
    assert 1 <= dark.size <= 3
    assert 8 < dark[0] < 18


def test_a_monochrome_photo_is_painted_in_two_washes() -> None:
    ws = _cut()
    gray = luma(ws.need_photo())
    ws.photo, ws.monochrome = np.stack([gray] * 3, axis=-1), True
    watercolour.STEP.run(ws, watercolour.Params(strength=0), tools())
    where = ws.need_face()
    at = (int(where.y), int(where.x))
    assert ws.need_picture()[at][0] > ws.need_picture()[at][2] + 0.02, "skin is pale and warm"


def test_encode_writes_pixels_and_nothing_else() -> None:
    ws = workspace(job(b""))
    ws.picture = np.asarray(child()) / np.float32(255)
    encode.STEP.run(ws, encode.Params(), tools())
    assert ws.result is not None
    assert ws.result.media_type == "image/jpeg"
    # SOI, APP0 (JFIF, structure), tables, frame, scan, EOI: no APP1..15, no COM.
    assert set(markers(ws.result.data)) <= {0xE0, 0xDB, 0xC0, 0xC4, 0xDA, 0xD9}
    assert np.abs(pixels(ws.result.data) / 255 - ws.picture).mean() < 0.02


def test_encode_keeps_noise_below_the_size_limit() -> None:
    ws = workspace(job(b""))
    ws.picture = np.random.default_rng(0).random((1100, 1100, 3), dtype=np.float32)
    encode.STEP.run(ws, encode.Params(), tools())
    assert ws.result is not None
    assert len(ws.result.data) <= encode.MAX_BYTES
