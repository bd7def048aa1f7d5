"""GIF's traps, one by one."""

from __future__ import annotations

import struct

import pytest

from services.ingest.limits import Limits
from services.ingest.report import Colour, Removed
from services.ingest.scrub import Scrubber
from tests import photos
from tests.unit.services.ingest.scrubbing import LIMITS, plain_id, reason, refusal, scrub

COLOUR = photos.gifs()["colour"]
CLEAN = scrub(COLOUR)[0]
SCREEN, IMAGE, END = photos.gif_parts(CLEAN)
KINDS = photos.gif_metadata()


def placed(left: int, top: int, width: int, height: int, image: bytes = IMAGE) -> bytes:
    return image[:1] + struct.pack("<4H", left, top, width, height) + image[9:]


def control(packed: int, index: int) -> bytes:
    return photos.extension(0xF9, bytes((packed, 0x12, 0x34, index)))


def test_the_parts_are_what_these_tests_think() -> None:
    assert (SCREEN[:6], IMAGE[0], END) == (b"GIF89a", 0x2C, b"\x3b")
    assert len(SCREEN) == 13 + 3 * 64


@pytest.mark.parametrize("name", sorted(photos.gifs()))
def test_the_picture_stays(name: str) -> None:
    data = photos.gifs()[name]
    clean, facts = scrub(data)
    assert photos.decoded(clean) == photos.decoded(data)
    assert (facts.width, facts.height) == photos.decoded(data)[0]
    assert facts.has_alpha is (name == "transparent")
    assert facts.orientation == 1


@pytest.mark.parametrize("size", [1, 63, 64, 100, 254, 255])
def test_how_the_data_was_cut_leaves_no_trace(size: int) -> None:
    large = scrub(photos.gifs()["large"])[0]
    cut = photos.reblocked(large, size)
    limits = Limits(max_segments=200_000)
    assert scrub(cut, limits=limits)[0] == large
    assert scrub(cut, size=101, limits=limits)[0] == large


def test_a_crowd_of_tiny_blocks_is_refused() -> None:
    assert refusal(photos.reblocked(photos.gifs()["large"], 1)).reason == "TOO_MANY_SEGMENTS"
    crowd = photos.extension(0xFE, bytes(LIMITS.max_segments + 1), size=1)
    assert refusal(SCREEN + crowd + IMAGE + END).reason == "TOO_MANY_SEGMENTS"


@pytest.mark.parametrize(
    ("kind", "removed"),
    [
        ("comment", Removed.COMMENT), ("plain text", Removed.TEXT), ("loop", Removed.ANIMATION), ("xmp", Removed.XMP),
        ("unknown icc", Removed.ICC), ("c2pa", Removed.C2PA), ("private", Removed.UNKNOWN_SEGMENT),
        ("unknown", Removed.UNKNOWN_SEGMENT), ("empty", Removed.COMMENT), ("control", Removed.ANIMATION),
    ],
)  # fmt: skip
def test_everything_else_goes_and_is_counted(kind: str, removed: Removed) -> None:
    for place in (0, 1):
        clean, facts = scrub(photos.with_blocks(COLOUR, [(place, KINDS[kind])]))
        assert clean == CLEAN
        assert facts.removed.get(removed) == len(KINDS[kind])


@pytest.mark.parametrize(
    ("controls", "kept"),
    [
        (control(0, 3), b""),  # the index means nothing
        (control(0x1D, 3), control(1, 3).replace(b"\x12\x34", b"\0\0")),
        (control(1, 9) + control(1, 3), control(1, 3).replace(b"\x12\x34", b"\0\0")),  # the last one counts
        (control(1, 3) + KINDS["plain text"], b""),  # it was the text's
        (KINDS["plain text"] + control(1, 3), control(1, 3).replace(b"\x12\x34", b"\0\0")),
    ],
    ids=plain_id,
)
def test_a_graphic_control_says_no_more_than_a_transparent_colour(controls: bytes, kept: bytes) -> None:
    clean, facts = scrub(SCREEN + controls + IMAGE + END)
    assert clean == SCREEN + kept + IMAGE + END
    assert facts.has_alpha is bool(kept)
    assert scrub(clean)[1].removed == {}


def test_a_transparent_colour_that_no_pixel_can_have_is_dropped() -> None:
    small = IMAGE[:10] + b"\x02" + photos.blocks(b"\x44" * 900)
    assert scrub(SCREEN + control(1, 4) + small + END)[0] == scrub(SCREEN + small + END)[0]


def test_of_an_animation_the_first_frame_stays() -> None:
    first, second = photos.picture().quantize(64), photos.picture().rotate(180).quantize(64)
    moving = photos.encode(first, "GIF", save_all=True, append_images=[second], duration=100, loop=0, comment=b"hello")
    clean, facts = scrub(moving)
    assert photos.decoded(clean) == photos.decoded(moving)
    assert facts.removed[Removed.ANIMATION] > 500 and facts.removed[Removed.COMMENT] > 5
    assert b"NETSCAPE" not in clean and len(photos.gif_parts(clean)) <= 4


@pytest.mark.parametrize("place", [(1, 0, 47, 32), (0, 0, 48, 31), (0, 0, 49, 32), (0, 1, 48, 32), (0, 0, 0, 0)])
def test_a_first_frame_that_is_not_the_canvas_is_refused(place: tuple[int, int, int, int]) -> None:
    assert reason(SCREEN + placed(*place) + END) == "UNSUPPORTED_CODING"
    assert scrub(SCREEN + IMAGE + placed(*place) + END)[0] == CLEAN  # a later one may be


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (SCREEN + END, "MALFORMED_PHOTO"),  # no picture
        (SCREEN[:6] + bytes(2) + SCREEN[8:] + IMAGE + END, "MALFORMED_PHOTO"),  # no width
        (SCREEN[:10] + b"\x70\0\0" + IMAGE + END, "MALFORMED_PHOTO"),  # no table
        (SCREEN + b"\0" + IMAGE + END, "MALFORMED_PHOTO"),  # stray
        (SCREEN + IMAGE + b"\0" + END, "MALFORMED_PHOTO"),
        (SCREEN + IMAGE[:10] + b"\1" + IMAGE[11:] + END, "MALFORMED_PHOTO"),  # code size
        (SCREEN + IMAGE[:10] + b"\x09" + IMAGE[11:] + END, "MALFORMED_PHOTO"),
        (SCREEN + IMAGE[:11] + photos.blocks(bytes(20_000)) + END, "MALFORMED_PHOTO"),  # far too much data
        (SCREEN + IMAGE[:11] + b"\0" + END, "TRUNCATED_PHOTO"),  # none
        (SCREEN + photos.extension(0xF9, b"abc") + IMAGE + END, "MALFORMED_PHOTO"),
        (SCREEN + photos.extension(0xF9, b"abcd")[:-1] + b"\1" + IMAGE + END, "MALFORMED_PHOTO"),
        (SCREEN + IMAGE, "TRUNCATED_PHOTO"),  # no end
        (SCREEN + IMAGE + IMAGE[:-5], "TRUNCATED_PHOTO"),
        (b"GIF87", "TRUNCATED_PHOTO"),
    ],
    ids=plain_id,
)
def test_refused(broken: bytes, expected: str) -> None:
    assert reason(broken) == expected


def test_a_bomb_of_pixels_is_refused_before_its_data() -> None:
    huge = SCREEN[:6] + struct.pack("<HH", 60_000, 60_000) + SCREEN[10:]
    assert reason(huge) == "DIMENSION_TOO_LARGE"
    wide = SCREEN[:6] + struct.pack("<HH", 9_000, 9_000) + SCREEN[10:] + placed(0, 0, 9_000, 9_000, IMAGE[:11])
    assert reason(wide + b"\4abcd\0" + END) == "TRUNCATED_PHOTO"


def test_limits_hold() -> None:
    assert refusal(SCREEN + IMAGE * 6 + END, limits=Limits(max_frames=5)).reason == "TOO_MANY_FRAMES"
    scrub(SCREEN + IMAGE * 5 + END, limits=Limits(max_frames=5))
    assert refusal(SCREEN + KINDS["empty"] * 40 + IMAGE + END, limits=Limits(max_segments=30)).limit == 30


def test_the_picture_leaves_as_views_and_early() -> None:
    data = scrub(photos.gifs()["large"])[0]
    pieces = Scrubber(LIMITS).feed(data[: len(data) // 2])
    assert sum(len(piece) for piece in pieces if isinstance(piece, memoryview)) > len(data) // 2 - 2000


def test_a_profile_has_no_place_here() -> None:
    clean, facts = scrub(photos.with_blocks(COLOUR, [(0, KINDS["unknown icc"])]))
    assert (clean, facts.colour, facts.colour_profile_dropped) == (CLEAN, Colour.UNKNOWN, True)


def test_ai_marks_in_xmp_and_manifest() -> None:
    long = b"x" * 300 + photos.AI_MARK + b"y" * 300
    xmp = b"\x21\xff\x0bXMP DataXMP" + long + photos.XMP_TRAILER
    for part in (xmp, photos.application(b"C2PA_GIF\1\0\0", long)):
        clean, facts = scrub(photos.with_blocks(COLOUR, [(0, part)]), size=9)
        assert clean == CLEAN
        assert facts.ai_generated
    assert not scrub(photos.with_blocks(COLOUR, [(0, photos.extension(0xFE, photos.AI_MARK))]))[1].ai_generated
