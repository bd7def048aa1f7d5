"""Each limit refuses what is one over it, names itself and its value, and is checked before any output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mesh.errors import ConfigError, Invalid
from services.ingest.limits import Limits
from services.ingest.scrub import Scrubber
from tests import photos
from tests.unit.services.ingest.scrubbing import refusal, scrub


def apng(frames: int) -> bytes:
    return photos.with_chunks(photos.png(), [(0, photos.chunk(b"fcTL", bytes(26)))] * frames)


def animation(frames: int) -> bytes:
    still = photos.riff_parts(photos.webp(16, 16))[0]
    place = bytes(6) + (15).to_bytes(3, "little") * 2 + bytes(4)
    frame = photos.riff_chunk(b"ANMF", place + still)
    return photos.riff([photos.vp8x(16, 16, 2), photos.riff_chunk(b"ANIM", bytes(6)), *[frame] * frames])


# max_… : reason, field, the most that passes, what is at that limit, what is over it
CASES: dict[str, tuple[str, str, int, bytes, bytes]] = {
    "max_dimension": ("DIMENSION_TOO_LARGE", "photo.dimension", 48, photos.jpeg(48, 32), photos.jpeg(16, 49)),
    "max_pixels": ("TOO_MANY_PIXELS", "photo.pixels", 48 * 32, photos.png(48, 32), photos.png(49, 32)),
    "max_scans": ("TOO_MANY_SCANS", "photo.scans", 1, photos.jpeg(), photos.jpeg(progressive=True)),
    "max_frames": ("TOO_MANY_FRAMES", "photo.frames", 5, apng(5), apng(6)),
    "max_segments": (
        "TOO_MANY_SEGMENTS",
        "photo.segments",
        30,
        photos.with_segments(photos.jpeg(mode="L"), [(1, photos.segment(0xFE, b""))] * 20),
        photos.with_segments(photos.jpeg(mode="L"), [(1, photos.segment(0xFE, b""))] * 40),
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_limit(name: str) -> None:
    reason, field, most, within, beyond = CASES[name]
    limits = replace(Limits(), **{name: most})  # type: ignore[arg-type]
    scrub(within, limits=limits)
    refused = refusal(beyond, limits=limits)
    assert (refused.reason, refused.field, refused.limit) == (reason, field, most)


@pytest.mark.parametrize("make", [photos.png, photos.webp, photos.jpeg])
def test_sizes_hold_in_every_format(make: Callable[[int, int], bytes]) -> None:
    assert refusal(make(65, 2), limits=Limits(max_dimension=64)).reason == "DIMENSION_TOO_LARGE"
    assert refusal(make(65, 2), limits=Limits(max_pixels=129)).reason == "TOO_MANY_PIXELS"


def test_frames_hold_in_webp_too() -> None:
    scrub(animation(5), limits=Limits(max_frames=5))
    assert refusal(animation(6), limits=Limits(max_frames=5)).reason == "TOO_MANY_FRAMES"


def test_segments_hold_in_png_and_webp_too() -> None:
    limits = Limits(max_segments=10)
    assert refusal(photos.resplit(photos.png(), 100), limits=limits).reason == "TOO_MANY_SEGMENTS"
    crowded = photos.with_riff_chunks(photos.webp(), [(9, photos.riff_chunk(b"none", b""))] * 10)
    assert refusal(crowded, limits=limits).reason == "TOO_MANY_SEGMENTS"


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_no_output_comes_from_beyond_the_byte_limit(size: int) -> None:
    data = photos.jpeg()
    scrubber = Scrubber(Limits(max_bytes=len(data) - 1))
    with pytest.raises(Invalid, match="PHOTO_TOO_LARGE") as caught:
        for start in range(0, len(data), size):
            scrubber.feed(data[start : start + size])
    assert caught.value.limit == len(data) - 1
    scrub(data, limits=Limits(max_bytes=len(data)))


def test_trailers_count_towards_the_byte_limit() -> None:
    data = photos.jpeg()
    assert refusal(data + bytes(100), limits=Limits(max_bytes=len(data) + 99)).reason == "PHOTO_TOO_LARGE"


def test_a_webp_that_declares_more_than_the_limit_is_refused_at_once() -> None:
    head = b"RIFF\xf0\xff\xff\xffWEBP"
    with pytest.raises(Invalid, match="PHOTO_TOO_LARGE"):
        Scrubber(Limits()).feed(head)


def test_a_limit_of_nothing_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match="max_scans"):
        Limits(max_scans=0)
