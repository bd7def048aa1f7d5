"""JPEG's traps, one by one."""

from __future__ import annotations

import struct

import pytest

from services.ingest.limits import Limits
from services.ingest.report import Colour, Removed
from services.ingest.scrub import icc
from tests import photos
from tests.unit.services.ingest.scrubbing import accepts, plain_id, reason, refusal, scrub

BASE = photos.jpeg(mode="L")
PARTS = photos.jpeg_parts(BASE)  # SOI JFIF DQT SOF DHT DHT SOS+data EOI


def index(marker: int, parts: list[bytes] = PARTS) -> int:
    return next(i for i, part in enumerate(parts) if part[1] == marker)


def swapped(marker: int, content: bytes, parts: list[bytes] = PARTS) -> bytes:
    """The base with one part replaced."""
    at = index(marker, parts)
    return b"".join([*parts[:at], content, *parts[at + 1 :]])


def sof(payload: bytes, marker: int = 0xC0) -> bytes:
    return swapped(0xC0, photos.segment(marker, payload))


GOOD_SOF = PARTS[index(0xC0)][4:]
SCAN = PARTS[index(0xDA)]
SOS, DATA = SCAN[4:10], SCAN[10:]


def sos(payload: bytes, data: bytes = DATA) -> bytes:
    return swapped(0xDA, photos.segment(0xDA, payload) + data)


def test_the_parts_are_what_these_tests_think() -> None:
    assert sof(GOOD_SOF) == BASE == sos(SOS)
    assert [part[1] for part in PARTS] == [0xD8, 0xE0, 0xDB, 0xC0, 0xC4, 0xC4, 0xDA, 0xD9]


def test_only_what_draws_is_left_in_one_order() -> None:
    clean, _ = scrub(photos.phone_jpeg())
    assert [part[1] for part in photos.jpeg_parts(clean)] == [
        0xD8, 0xDB, 0xDB, 0xC0, 0xC4, 0xC4, 0xC4, 0xC4, 0xDA, 0xD9,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (sof(b"\x08\0\0" + GOOD_SOF[3:]), "UNSUPPORTED_CODING"),  # height comes in a DNL
        (sof(b"\x0c" + GOOD_SOF[1:]), "UNSUPPORTED_CODING"),  # 12 bits
        (sof(GOOD_SOF[:5] + b"\2" + GOOD_SOF[6:] + b"\2\x11\0"), "UNSUPPORTED_CODING"),  # two components
        (sof(GOOD_SOF, 0xC3), "UNSUPPORTED_CODING"),  # lossless
        (sof(GOOD_SOF, 0xC5), "UNSUPPORTED_CODING"),  # hierarchical
        (sof(GOOD_SOF[:3] + b"\0\0" + GOOD_SOF[5:]), "MALFORMED_PHOTO"),  # no width
        (sof(GOOD_SOF + b"smuggled"), "MALFORMED_PHOTO"),
        (sof(GOOD_SOF[:-1]), "MALFORMED_PHOTO"),
        (sof(b""), "MALFORMED_PHOTO"),
        (sof(GOOD_SOF[:7] + b"\0" + GOOD_SOF[8:]), "MALFORMED_PHOTO"),  # no sampling factor
        (sof(GOOD_SOF[:-1] + b"\4"), "MALFORMED_PHOTO"),  # table 4
        (sof(GOOD_SOF[:-1] + b"\3"), "MALFORMED_PHOTO"),  # a table that isn't there
        (sos(SOS + b"smuggled"), "MALFORMED_PHOTO"),
        (sos(b""), "MALFORMED_PHOTO"),
        (sos(b"\0" + SOS[-3:]), "MALFORMED_PHOTO"),  # no component
        (sos(b"\1\x09\0" + SOS[-3:]), "MALFORMED_PHOTO"),  # an unknown one
        (sos(b"\2\1\0\1\0" + SOS[-3:]), "MALFORMED_PHOTO"),  # one twice
        (sos(SOS[:2] + b"\x04" + SOS[3:]), "MALFORMED_PHOTO"),
        (sos(SOS[:2] + b"\x11" + SOS[3:]), "MALFORMED_PHOTO"),  # Huffman tables that aren't there
        (BASE[:2] + b"\xff\xd8" + BASE[2:], "MALFORMED_PHOTO"),  # SOI in SOI
        (BASE[:2] + b"<html>" + BASE[2:], "UNSUPPORTED_FORMAT"),
        (b"".join([*PARTS[:3], b"<script>", *PARTS[3:]]), "MALFORMED_PHOTO"),
        (b"".join([*PARTS[:3], b"\0\xfe\0\2", *PARTS[3:]]), "MALFORMED_PHOTO"),  # a marker without its 0xFF
        (b"".join([*PARTS[:4], *PARTS[3:]]), "MALFORMED_PHOTO"),  # two frames
        (b"".join([*PARTS[:3], *PARTS[4:]]), "MALFORMED_PHOTO"),  # no frame
        (b"".join([*PARTS[:6], PARTS[7]]), "MALFORMED_PHOTO"),  # no scan
        (b"".join([*PARTS[:7], *PARTS[6:]]), "MALFORMED_PHOTO"),  # one scan twice
        (b"".join([*PARTS[:4], b"\xff\x02\0\2", *PARTS[4:]]), "MALFORMED_PHOTO"),  # a reserved marker
        (b"".join([*PARTS[:4], b"\xff\xf0\0\2", *PARTS[4:]]), "MALFORMED_PHOTO"),
        (b"".join([*PARTS[:4], b"\xff\xe5\0\1", *PARTS[4:]]), "MALFORMED_PHOTO"),  # a length of less than itself
        (sos(SOS, DATA[:20] + b"\xff\xd0" + DATA[20:]), "MALFORMED_PHOTO"),  # a restart without an interval
        (sos(SOS, DATA[:20] + b"\xff\xff\0" + DATA[20:]), "MALFORMED_PHOTO"),  # fill inside data
        (sos(SOS, b"\0"), "TRUNCATED_PHOTO"),  # far too little for the size
        (sos(SOS, DATA + bytes(100_000)), "MALFORMED_PHOTO"),  # far too much
    ],
    ids=plain_id,
)
def test_refused(broken: bytes, expected: str) -> None:
    assert reason(broken) == expected


@pytest.mark.parametrize(
    ("marker", "payload"),
    [
        (0xDB, b"\0" + bytes(63)),
        (0xDB, b"\x04" + bytes(64)),
        (0xDB, b"\x20" + bytes(64)),
        (0xDB, b"\1" + bytes(64) + b"tail"),
        (0xDB, bytes(65) * 200),
        (0xC4, b"\0" + bytes(15)),
        (0xC4, b"\0\2" + bytes(15) + b"\0\1"),  # both codes of one bit: all ones
        (0xC4, b"\0\1\1\1" + bytes(13) + b"\0\1"),  # a value is missing
        (0xC4, b"\0\1" + bytes(15) + b"\x10"),  # a DC category of 16
        (0xC4, b"\x14\1" + bytes(15) + b"\0"),  # table 4
        (0xC4, b"\x10" + bytes(14) + b"\xff\xff" + bytes(510)),  # more values than a byte can name
        (0xC4, b"\0\1" + bytes(15) + b"\0tail"),
        (0xDD, b"\0"),
        (0xDD, b"\0\0\0"),
        (0xCC, b"\0"),
        (0xCC, b"\0\x01"),  # lower bound above the upper
        (0xCC, b"\x10\0"),
        (0xCC, b"\x14\1"),
    ],
    ids=plain_id,
)
def test_broken_tables_are_refused(marker: int, payload: bytes) -> None:
    assert reason(photos.with_segments(BASE, [(3, photos.segment(marker, payload))])) == "MALFORMED_PHOTO"


def test_tables_that_nothing_reads_do_not_pass() -> None:
    spare = photos.segment(0xDB, b"\2" + photos.CANARY.ljust(64)) + photos.segment(0xDB, b"\2" + bytes(64))
    overwritten = photos.segment(0xDB, b"\0" + photos.CANARY.ljust(64))  # the real table 0 follows
    conditioning = photos.segment(0xCC, b"\x10\x3f")  # means nothing to Huffman codes
    original = scrub(BASE)[0]
    assert scrub(photos.with_segments(BASE, [(0, spare + overwritten + conditioning)]))[0] == original


def test_too_many_tables_are_refused() -> None:
    many = photos.segment(0xC4, (b"\0" + bytes(16)) * 400)
    assert reason(photos.with_segments(BASE, [(0, many)] * 3)) == "MALFORMED_PHOTO"


def test_a_table_that_changes_between_scans_is_sent_again() -> None:
    """Three scans of one component each, with one Huffman table redefined before each."""
    parts = photos.jpeg_parts(photos.jpeg(progressive=True))
    assert [part[1] for part in parts].count(0xC4) > 4
    clean = scrub(b"".join(parts))[0]
    assert photos.decoded(clean) == photos.decoded(b"".join(parts))


def test_what_a_sequential_scan_need_not_say_says_nothing() -> None:
    assert scrub(sos(SOS[:3] + b"\x07\x08\x09"))[0] == scrub(BASE)[0]


@pytest.mark.parametrize(
    "spectrum", [b"\0\x05\0", b"\x05\x01\0", b"\1\x40\0", b"\0\0\x0e", b"\0\0\x31", b"\0\0\x21", b"\1\5\0"]
)
def test_progressive_scans_must_make_sense(spectrum: bytes) -> None:
    data = photos.jpeg(mode="L", progressive=True)
    at = data.index(b"\xff\xda\0\x08\1") + 7
    assert reason(data[:at] + spectrum + data[at + 3 :]) == "MALFORMED_PHOTO"


def test_a_progressive_scan_that_repeats_is_refused() -> None:
    parts = photos.jpeg_parts(photos.jpeg(mode="L", progressive=True))
    first = index(0xDA, parts)
    assert reason(b"".join([*parts[: first + 1], *parts[first:]])) == "MALFORMED_PHOTO"


def test_a_component_that_never_comes_is_refused() -> None:
    parts = photos.jpeg_parts(photos.jpeg(mode="RGB", progressive=True))
    no_scan = [part for part in parts if part[1] != 0xDA]
    assert reason(b"".join(no_scan)) == "MALFORMED_PHOTO"


def test_fill_bytes_anywhere_are_dropped_and_counted() -> None:
    filled = b"\xff\xd8" + b"".join(b"\xff" * 1000 + part for part in PARTS[1:])
    clean, facts = scrub(filled)
    assert clean == scrub(BASE)[0]
    assert facts.removed[Removed.PADDING] == 7000


def test_fill_before_a_restart_marker() -> None:
    data = photos.jpegs()["restarts"]
    at = data.index(b"\xff\xd0", data.index(b"\xff\xda"))
    assert scrub(data[:at] + b"\xff\xff" + data[at:])[0] == scrub(data)[0]


def test_what_follows_the_end_is_a_trailer_whatever_it_is() -> None:
    for trailer in (BASE, b"PK\3\4", b"%PDF", b"\xff\xd9", bytes(70_000)):
        clean, facts = scrub(BASE + trailer)
        assert clean == scrub(BASE)[0]
        assert facts.removed[Removed.TRAILER] == len(trailer)


def test_lengths_that_lie_are_refused_or_harmless() -> None:
    for at, part in enumerate(PARTS[1:-1], start=1):
        for lie in (0, 1, 2, 5, 0x1000, 0xFFFF):
            lying = part[:2] + struct.pack(">H", lie) + part[4:]
            data = b"".join([*PARTS[:at], lying, *PARTS[at + 1 :]])
            if lie != int.from_bytes(part[2:4]) and accepts(data):
                assert photos.decoded(scrub(data)[0]) == photos.decoded(data)


class TestColour:
    """Whether components are YCbCr must come out as every decoder read it before."""

    RGB = photos.jpegs()["rgb-coded"]
    JFIF = photos.segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")

    def test_jfif_outweighs_adobe(self) -> None:
        data = photos.with_segments(self.RGB, [(0, self.JFIF)])
        assert photos.decoded(scrub(data)[0]) == photos.decoded(data) != photos.decoded(self.RGB)

    def test_adobe_without_jfif(self) -> None:
        parts = [part for part in photos.jpeg_parts(photos.jpeg()) if part[1] != 0xE0]
        for transform in (0, 1, 2):
            marker = photos.segment(0xEE, b"Adobe\0\x64" + photos.CANARY[:4] + bytes((transform,)) + photos.CANARY)
            data = b"".join([parts[0], marker, *parts[1:]])
            clean, facts = scrub(data)
            assert photos.decoded(clean) == photos.decoded(data)
            assert photos.CANARY[:4] not in clean
            assert facts.removed[Removed.PADDING] == len(photos.CANARY)

    def test_component_names_alone(self) -> None:
        data = b"".join(part for part in photos.jpeg_parts(self.RGB) if part[1] != 0xEE)
        assert photos.decoded(scrub(data)[0]) == photos.decoded(data) == photos.decoded(self.RGB)

    def test_ycck_and_cmyk(self) -> None:
        parts = photos.jpeg_parts(photos.jpegs()["cmyk"])
        for transform in (0, 2):
            marker = photos.segment(0xEE, b"Adobe\0\x64\1\2\3\4" + bytes((transform,)))
            data = b"".join(marker if part[1] == 0xEE else part for part in parts)
            clean = scrub(data)[0]
            assert photos.decoded(clean) == photos.decoded(data)
            assert photos.segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes((transform,))) in clean

    @pytest.mark.parametrize("colour", [Colour.DISPLAY_P3, Colour.ADOBE_RGB])
    def test_a_known_profile_becomes_ours(self, colour: Colour) -> None:
        profile = icc.profile(colour)
        named = profile[:48] + b"CNRY" + profile[52:]  # another maker
        data = photos.with_segments(photos.jpeg(), [(0, photos.segment(0xE2, b"ICC_PROFILE\0\1\1" + named))])
        clean, facts = scrub(data)
        assert profile in clean
        assert b"CNRY" not in clean
        assert (facts.colour, facts.colour_profile_dropped) == (colour, False)
        assert scrub(clean)[1].removed == {}

    def test_an_unknown_profile_is_dropped_and_said(self) -> None:
        data = photos.with_segments(photos.jpeg(), [(0, photos.jpeg_metadata()["unknown icc"])])
        clean, facts = scrub(data)
        assert b"ICC_PROFILE" not in clean
        assert (facts.colour, facts.colour_profile_dropped) == (Colour.UNKNOWN, True)

    def test_a_profile_of_rgb_does_not_fit_grey(self) -> None:
        profile = photos.segment(0xE2, b"ICC_PROFILE\0\1\1" + icc.profile(Colour.DISPLAY_P3))
        clean, facts = scrub(photos.with_segments(BASE, [(0, profile)]))
        assert facts.colour is Colour.UNKNOWN
        assert b"ICC_PROFILE" not in clean

    def test_a_profile_after_the_first_scan_means_nothing(self) -> None:
        profile = photos.segment(0xE2, b"ICC_PROFILE\0\1\1" + icc.profile(Colour.DISPLAY_P3))
        data = photos.with_segments(photos.jpeg(progressive=True), [(-1, profile)])
        assert scrub(data)[1].colour is Colour.SRGB


class TestAiMark:
    def test_in_xmp(self) -> None:
        mark = photos.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x>" + photos.AI_MARK)
        for size in (1, 7, 1000):
            assert scrub(photos.with_segments(BASE, [(0, mark)]), size=size)[1].ai_generated

    def test_in_a_manifest_that_is_split_between_segments(self) -> None:
        head = b"JP\0\1" + struct.pack(">I", 1) + bytes(8)
        halves = photos.AI_MARK[:50], photos.AI_MARK[50:]
        parts = b"".join(photos.segment(0xEB, head + half) for half in halves)
        assert scrub(photos.with_segments(BASE, [(0, parts)]))[1].ai_generated

    def test_not_in_a_comment(self) -> None:
        assert not scrub(photos.with_segments(BASE, [(0, photos.segment(0xFE, photos.AI_MARK))]))[1].ai_generated


def test_metadata_beyond_the_bound_is_skipped_not_collected() -> None:
    block = photos.segment(0xE1, b"Exif\0\0" + photos.exif(6) + bytes(60_000))
    limits = Limits(max_metadata_bytes=100)
    clean, facts = scrub(photos.with_segments(BASE, [(0, block)]), limits=limits)
    assert facts.orientation == 6
    assert clean == scrub(BASE)[0]


def test_messages_carry_nothing_of_the_photo() -> None:
    stray = b"".join([*PARTS[:3], photos.CANARY, *PARTS[3:]])
    assert photos.CANARY.decode() not in refusal(stray).message
