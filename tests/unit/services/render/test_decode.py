"""Bytes to pixels: every kind of file that ingest lets through, and every way in which one can be broken."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from mesh.errors import Invalid
from services.render import decoder
from services.render.picture import Job
from services.render.steps import decode, orient
from services.render.steps.pixels import Array
from tests.scene_subjects import child, display_p3, job, saved, tools, workspace


def _decoded(a_job: Job) -> Array:
    ws = workspace(a_job)
    decode.STEP.run(ws, decode.Params(), tools())
    return ws.need_photo()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_each_format_decodes_to_the_same_picture(kind: str) -> None:
    image = child()
    photo = _decoded(job(saved(image, kind), kind=kind))
    assert photo.shape == (300, 240, 3)
    assert photo.dtype == np.float32
    assert np.abs(photo - np.asarray(image) / 255).mean() < 0.02


@pytest.mark.parametrize("cut", [[], [1], [3, 4, 5], [100, 1000], list(range(500, 8000, 500))])
def test_frames_may_be_cut_anywhere(cut: list[int]) -> None:
    data = saved(child())
    edges = [0, *cut, len(data)]
    frames = [data[a:b] for a, b in itertools.pairwise(edges)]
    split = Job(frames, "jpeg", 240, 300, 1, "")
    assert np.array_equal(_decoded(split), _decoded(job(data)))


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_each_mode_becomes_rgb(mode: str) -> None:
    kind = "jpeg" if mode == "CMYK" else "png"
    if mode == "I;16":
        image = Image.fromarray(np.asarray(child().convert("L"), np.uint16) * 257)
    else:
        image = child().convert(mode)
    photo = _decoded(job(saved(image, kind), kind=kind))
    assert photo.shape == (300, 240, 3)
    assert 0.2 < photo.mean() < 0.9
    assert photo.max() <= 1


def test_a_large_jpeg_is_decoded_small() -> None:
    photo = _decoded(job(saved(child().resize((2400, 3000)))))
    assert max(photo.shape) == decoder.WORK_SIDE


def test_transparency_is_laid_on_paper_and_kept_as_shape() -> None:
    image = child().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    ws = workspace(job(saved(image, "png"), kind="png"))
    decode.STEP.run(ws, decode.Params(), tools())
    assert ws.shape is not None
    assert ws.shape[0, 0] == 0
    assert np.allclose(ws.need_photo()[0, 0], decode.PAPER, atol=0.01)


def test_a_wide_gamut_photo_is_converted_to_srgb() -> None:
    image = Image.new("RGB", (64, 64), (200, 60, 60))
    plain = _decoded(job(saved(image, "png"), kind="png"))[0, 0]
    tagged = _decoded(job(saved(image, "png", icc_profile=display_p3()), kind="png"))[0, 0]
    assert tagged[0] > plain[0] + 0.02, "P3's red is redder than sRGB's"
    assert tagged[1] < plain[1] - 0.02


def test_monochrome_is_noticed() -> None:
    for image, expected in ((child(), False), (child().convert("L"), True)):
        ws = workspace(job(saved(image)))
        decode.STEP.run(ws, decode.Params(), tools())
        assert ws.monochrome is expected


WHOLE = saved(child())


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8\xff", b"GIF89a" + bytes(64), WHOLE[: len(WHOLE) // 2], WHOLE[:200] + bytes(500) + WHOLE[700:]],
    ids=["empty", "header", "gif", "truncated", "zeroed tables"],
)
def test_a_malformed_photo_is_refused_and_not_quoted(data: bytes) -> None:
    with pytest.raises(Invalid) as error:
        _decoded(job(data))
    assert (error.value.reason, error.value.field) == ("MALFORMED_PHOTO", "photo")
    assert error.value.__cause__ is None


def test_the_format_is_the_one_that_ingest_saw() -> None:
    with pytest.raises(Invalid, match="MALFORMED_PHOTO"):
        _decoded(job(saved(child(), "png"), kind="jpeg"))


def test_too_small_says_the_limit() -> None:
    ws = workspace(job(saved(child(100, 130))), min_side=128)
    with pytest.raises(Invalid) as error:
        decode.STEP.run(ws, decode.Params(), tools())
    assert (error.value.reason, error.value.field, error.value.limit) == ("PHOTO_TOO_SMALL", "photo", 128)


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    bomb = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(bomb, "PNG")
    for claimed in ({}, {"width": 240, "height": 300}):
        with pytest.raises(Invalid, match="PHOTO_TOO_LARGE"):
            _decoded(job(bomb.getvalue(), kind="png", **claimed))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_ends_upright(orientation: int) -> None:
    upright = child(120, 160)
    # What a camera stores so that a viewer who follows the tag sees `upright` (EXIF 2.32, tag 0x0112).
    stored = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    ws = workspace(job(saved(stored, "png"), kind="png", orientation=orientation))
    decode.STEP.run(ws, decode.Params(), tools())
    orient.STEP.run(ws, orient.Params(), tools())
    assert np.allclose(ws.need_photo(), np.asarray(upright) / 255, atol=0.01)


@pytest.mark.parametrize("orientation", [0, 9, -1])
def test_no_other_orientation_exists(orientation: int) -> None:
    ws = workspace(job(saved(child()), orientation=orientation))
    decode.STEP.run(ws, decode.Params(), tools())
    with pytest.raises(Invalid, match="MALFORMED_PHOTO"):
        orient.STEP.run(ws, orient.Params(), tools())
