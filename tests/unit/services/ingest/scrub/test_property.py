"""For any photo with metadata in any place, however it is cut: same picture, nothing planted left, idempotent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.report import Facts, Removed
from tests import photos
from tests.unit.services.ingest.scrubbing import plain_id, scrub, scrub_cut

PLACES = st.integers(0, 99)
CUTS = st.lists(st.integers(0, 1 << 20), max_size=8)


def plantings(kinds: dict[str, bytes]) -> st.SearchStrategy[list[tuple[int, bytes]]]:
    return st.lists(st.tuples(PLACES, st.sampled_from(sorted(kinds)).map(kinds.__getitem__)), max_size=6)


def check(original: bytes, planted: bytes, cuts: list[int]) -> Facts:
    clean, facts = scrub(planted)
    assert photos.CANARY not in clean
    assert photos.decoded(clean) == photos.decoded(original)
    assert scrub_cut(planted, cuts) == (clean, facts)
    again, nothing_left = scrub(clean)
    assert again == clean
    assert not nothing_left.removed
    return facts


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(sorted(photos.jpegs())), plantings(photos.jpeg_metadata()), st.binary(max_size=40), CUTS)
def test_jpeg(name: str, planted: list[tuple[int, bytes]], trailer: bytes, cuts: list[int]) -> None:
    original = photos.jpegs()[name]
    if name == "rgb-coded":  # there a JFIF marker changes what the colours mean: test_jpeg.py has that case
        planted = [each for each in planted if b"JFIF" not in each[1]]
    facts = check(original, photos.with_segments(original, planted) + trailer, cuts)
    assert facts.removed.get(Removed.TRAILER, 0) == len(trailer)


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(sorted(photos.pngs())),
    plantings(photos.png_metadata()),
    st.lists(st.sampled_from(sorted(photos.png_colour())), max_size=2),
    st.binary(max_size=40),
    CUTS,
)
def test_png(name: str, planted: list[tuple[int, bytes]], colour: list[str], trailer: bytes, cuts: list[int]) -> None:
    original = photos.pngs()[name]
    colours = [(0, photos.png_colour()[kind]) for kind in colour]
    facts = check(original, photos.with_chunks(photos.with_chunks(original, colours), planted) + trailer, cuts)
    assert facts.removed.get(Removed.TRAILER, 0) == len(trailer)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(sorted(photos.webps())), plantings(photos.webp_metadata()), st.binary(max_size=40), CUTS)
def test_webp(name: str, planted: list[tuple[int, bytes]], trailer: bytes, cuts: list[int]) -> None:
    original = photos.webps()[name]
    facts = check(original, photos.with_riff_chunks(original, planted) + trailer, cuts)
    assert facts.removed.get(Removed.TRAILER, 0) == len(trailer)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(sorted(photos.gifs())), plantings(photos.gif_metadata()), st.binary(max_size=40), CUTS)
def test_gif(name: str, planted: list[tuple[int, bytes]], trailer: bytes, cuts: list[int]) -> None:
    original = photos.gifs()[name]
    facts = check(original, photos.with_blocks(original, planted) + trailer, cuts)
    assert facts.removed.get(Removed.TRAILER, 0) == len(trailer)


@pytest.mark.parametrize("name", sorted(photos.jpegs()))
def test_every_kind_of_segment_at_every_place(name: str) -> None:
    original = photos.jpegs()[name]
    for place in range(len(photos.jpeg_parts(original)) - 1):
        for content in photos.jpeg_metadata().values():
            clean, _ = scrub(photos.with_segments(original, [(place, content)]))
            assert photos.CANARY not in clean


@pytest.mark.parametrize(
    "data",
    [photos.phone_jpeg(), photos.pngs()["many-idats"], photos.webps()["lossy-alpha"], photos.gifs()["own-table"]],
    ids=plain_id,
)
def test_every_single_cut_gives_the_same(data: bytes) -> None:
    whole = scrub(data)
    assert scrub(data, size=1) == whole
    for cut in range(0, len(data), max(1, len(data) // 200)):
        assert scrub_cut(data, [cut]) == whole


@pytest.mark.parametrize("makers", [photos.jpegs, photos.pngs, photos.webps, photos.gifs])
def test_truncation_at_every_two_percent_is_refused(makers: object) -> None:
    assert callable(makers)
    for data in makers().values():
        for percent in range(0, 100, 2):
            cut = data[: len(data) * percent // 100]
            with pytest.raises(Exception, match="EMPTY_PHOTO" if not cut else "TRUNCATED_PHOTO"):
                scrub(cut)
