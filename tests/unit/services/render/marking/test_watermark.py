"""The invisible mark: it survives what happens to pictures, is not seen, and is not found where it isn't."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from services.render.marking import watermark
from services.render.marking.source_type import SourceType
from services.render.steps.pixels import Array
from tests.unit.services.render.marking.marks import jpeg, opened, pixels


def _scaled(picture: Array, share: float) -> Array:
    image = Image.fromarray((picture * 255 + 0.5).astype(np.uint8))
    size = (round(image.width * share), round(image.height * share))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.float32) / np.float32(255)


@pytest.mark.parametrize("made", list(SourceType))
@pytest.mark.parametrize(("share", "quality"), [(1.0, 91), (0.5, 70), (0.4, 85), (1.0, 50), (2.0, 70)])
def test_it_survives_scaling_and_compression(made: SourceType, share: float, quality: int) -> None:
    shown = opened(jpeg(watermark.embed(pixels(768, 960), made)))
    read = watermark.read(opened(jpeg(_scaled(shown, share), quality)))
    assert read is not None
    assert read.source_type is made
    assert read.matched >= 58
    assert read.chance < 1e-10


def test_it_survives_another_format() -> None:
    out = io.BytesIO()
    Image.open(io.BytesIO(jpeg(watermark.embed(pixels(), SourceType.ALTERED)))).save(out, "WEBP", quality=75)
    read = watermark.read(opened(out.getvalue()))
    assert read is not None
    assert read.source_type is SourceType.ALTERED


def test_it_is_not_seen() -> None:
    before = pixels(768, 960)
    difference = watermark.embed(before, SourceType.EDITED_BY_AI) - before
    assert 10 * np.log10(1 / np.mean(difference**2)) > 40
    assert np.abs(difference).max() < 0.08


def test_the_same_picture_gets_the_same_mark() -> None:
    first, second = (watermark.embed(pixels(), SourceType.ALTERED) for _ in range(2))
    assert np.array_equal(first, second)


def test_it_is_not_found_where_it_is_not() -> None:
    rng = np.random.default_rng(4)
    noise = rng.random((320, 400, 3), np.float32)
    flat = np.full((64, 64, 3), 0.5, np.float32)
    assert [watermark.read(picture) for picture in (pixels(), noise, flat, flat * 0, flat * 2)] == [None] * 5


def test_the_two_words_are_never_taken_for_each_other() -> None:
    first, second = watermark.WORDS.values()
    assert (first != second).all()
    assert 24 <= int(first.sum()) <= 40  # neither could be read out of one colour


def test_small_and_narrow_pictures_are_marked_too() -> None:
    for size in ((160, 200), (700, 90)):
        read = watermark.read(watermark.embed(pixels(*size), SourceType.EDITED_BY_AI))
        assert read is not None
