"""What is done to the photo itself: tone, casts, fading, dust, noise, what is behind."""

from __future__ import annotations

import numpy as np

from services.render.steps import (
    detail,
    mend,
    soft_background,
    tone,
    unfade,
    white_balance,
)
from services.render.steps.pixels import luma
from tests.scene_subjects import outline, tools
from tests.unit.services.render.steps.prepared import cut, photo


def test_tone_lifts_a_dark_photo_and_leaves_a_good_one_nearly_alone() -> None:
    dark, good = photo(), photo()
    dark.photo = np.asarray(dark.need_photo() * 0.25, np.float32)
    before = good.need_photo()
    for ws in (dark, good):
        tone.STEP.run(ws, tone.Params(), tools())
    assert luma(dark.need_photo()).mean() > 0.33
    assert np.abs(good.need_photo() - before).mean() < 0.12


def test_white_balance_takes_half_of_a_cast_away() -> None:
    ws = photo()
    cast = np.array([1.0, 0.85, 0.6], np.float32)
    ws.photo = np.asarray(ws.need_photo() * cast, np.float32)
    before = ws.need_photo()[20, 20]
    white_balance.STEP.run(ws, white_balance.Params(strength=1), tools())
    after = ws.need_photo()[20, 20]
    assert after[2] / after[0] > before[2] / before[0] * 1.1


def test_white_balance_and_tone_add_no_colour_to_a_monochrome_photo() -> None:
    ws = photo()
    ws.monochrome = True
    gray = luma(ws.need_photo())
    ws.photo = np.stack([gray] * 3, axis=-1)
    white_balance.STEP.run(ws, white_balance.Params(warmth=0.1), tools())
    tone.STEP.run(ws, tone.Params(), tools())
    assert np.ptp(ws.need_photo(), axis=-1).max() < 1e-3


def test_unfade_gives_each_channel_its_range_back() -> None:
    ws = photo()
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
    ws = photo()
    gray = luma(ws.need_photo())[..., None]
    ws.photo = np.asarray(gray * np.array([0.75, 0.62, 0.45], np.float32) + 0.15, np.float32)
    assert unfade.one_hue(ws.photo)
    before = np.ptp(ws.photo, axis=-1).mean()
    unfade.STEP.run(ws, unfade.Params(), tools())
    assert ws.monochrome, "later steps must not bring colour in"
    assert np.ptp(ws.need_photo(), axis=-1).mean() < 0.4 * before


def test_a_photo_with_colours_is_no_sepia_print() -> None:
    assert not unfade.one_hue(photo().need_photo())


def test_mend_takes_dust_away_and_leaves_the_face() -> None:
    ws = photo()
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
    ws = photo()
    clean = ws.need_photo()
    rng = np.random.default_rng(1)
    ws.photo = np.asarray(np.clip(clean + rng.normal(0, 0.02, clean.shape), 0, 1), np.float32)
    detail.STEP.run(ws, detail.Params(denoise=1, clarity=0, sharpen=0), tools())
    wall = (slice(4, 40), slice(4, 40))
    assert np.std(luma(ws.need_photo())[wall] - luma(clean)[wall]) < 0.012
    step = np.abs(np.diff(luma(clean)[:, 120])).max()
    assert np.abs(np.diff(luma(ws.need_photo())[:, 120])).max() > 0.7 * step


def test_soft_background_softens_only_what_is_behind() -> None:
    ws = cut()
    before = ws.backdrop
    assert before is not None
    soft_background.STEP.run(ws, soft_background.Params(dim=0, bloom=0), tools())
    after, inside = ws.need_picture(), outline(240, 300) > 0.99
    assert np.abs(after - ws.need_photo())[inside].mean() < 0.01
    wall = (slice(2, 60), slice(2, 40))
    assert np.std(luma(after)[wall]) < np.std(luma(before)[wall])
