"""What becomes a picture: paint, backdrops, frames, and the file."""

from __future__ import annotations

import numpy as np
import pytest

from services.render.steps import (
    backdrop,
    blend_face,
    encode,
    finish,
    frame,
    linocut,
    oils,
    pastel,
    pencil,
    watercolour,
)
from services.render.steps.pixels import blur, luma
from tests.scene_subjects import FlatNetworks, child, job, markers, outline, pixels, tools, workspace
from tests.unit.services.render.steps.prepared import SIDE, cut, photo

PAINT = [(module.STEP, module.Params()) for module in (linocut, oils, pastel, pencil, watercolour)]


@pytest.mark.parametrize("step", PAINT, ids=["linocut", "oils", "pastel", "pencil", "watercolour"])
def test_portraits_change_the_face_least(step: tuple[object, object]) -> None:
    ws = cut()
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
        ws = photo(width, height)
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
    ws = cut()
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
