"""PNG's traps, one by one."""

from __future__ import annotations

import struct
import zlib

import pytest

from services.ingest.limits import Limits
from services.ingest.report import Colour, Removed
from services.ingest.scrub import icc
from tests import photos
from tests.photos import chunk
from tests.unit.services.ingest.scrubbing import plain_id, reason, scrub

BASE = photos.png()
PARTS = photos.png_parts(BASE)  # signature IHDR IDAT IEND
PALETTE = photos.pngs()["palette-transparent"]


def kinds(data: bytes) -> list[bytes]:
    return [part[4:8] for part in photos.png_parts(data)[1:]]


def ihdr(width: int = 48, height: int = 32, depth: int = 8, colour: int = 2, rest: bytes = b"\0\0\0") -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBB", width, height, depth, colour) + rest)


def with_part(at: int, part: bytes, base: bytes = BASE) -> bytes:
    parts = photos.png_parts(base)
    return b"".join([*parts[:at], part, *parts[at + 1 :]])


def before(part: bytes, kind: bytes, base: bytes = BASE) -> bytes:
    parts = photos.png_parts(base)
    at = next(i for i, each in enumerate(parts) if each[4:8] == kind)
    return b"".join([*parts[:at], part, *parts[at:]])


def test_the_parts_are_what_these_tests_think() -> None:
    assert kinds(BASE) == [b"IHDR", b"IDAT", b"IEND"]
    assert kinds(PALETTE) == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]


def test_only_what_draws_is_left() -> None:
    everything = [(i, each) for i, each in enumerate(photos.png_metadata().values())]
    clean, _ = scrub(photos.with_chunks(photos.with_chunks(PALETTE, everything), []) + b"PK\3\4")
    assert clean == PALETTE


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (with_part(1, ihdr(0)), "MALFORMED_PHOTO"),
        (with_part(1, ihdr(depth=3)), "MALFORMED_PHOTO"),
        (with_part(1, ihdr(colour=5)), "MALFORMED_PHOTO"),
        (with_part(1, ihdr(depth=16, colour=3)), "MALFORMED_PHOTO"),
        (with_part(1, ihdr(rest=b"\1\0\0")), "MALFORMED_PHOTO"),
        (with_part(1, ihdr(rest=b"\0\1\0")), "MALFORMED_PHOTO"),
        (with_part(1, ihdr(rest=b"\0\0\2")), "MALFORMED_PHOTO"),
        (with_part(1, ihdr(rest=b"\0\0\0smuggled")), "MALFORMED_PHOTO"),
        (with_part(1, chunk(b"tEXt", b"a\0b") + PARTS[1]), "MALFORMED_PHOTO"),  # IHDR isn't first
        (with_part(1, chunk(b"CgBI", bytes(4)) + PARTS[1]), "UNSUPPORTED_CODING"),
        (with_part(1, PARTS[1] + PARTS[1]), "MALFORMED_PHOTO"),  # two headers
        (with_part(1, PARTS[1][:-1] + b"?"), "MALFORMED_PHOTO"),  # checksums
        (with_part(2, PARTS[2][:-1] + b"?"), "MALFORMED_PHOTO"),
        (with_part(2, PARTS[2][:100] + b"?" + PARTS[2][101:]), "MALFORMED_PHOTO"),
        (with_part(3, PARTS[3][:-1] + b"?"), "MALFORMED_PHOTO"),
        (with_part(3, chunk(b"IEND", b"smuggled")), "MALFORMED_PHOTO"),
        (with_part(2, b""), "MALFORMED_PHOTO"),  # no pixels
        (with_part(2, chunk(b"IDAT", b"")), "TRUNCATED_PHOTO"),
        (with_part(2, PARTS[2] + chunk(b"tEXt", b"a\0b") + PARTS[2]), "MALFORMED_PHOTO"),  # split pixels
        (with_part(2, chunk(b"IDAT", b"not zlib at all")), "MALFORMED_PHOTO"),
        (with_part(1, ihdr(9999, 9999)), "TRUNCATED_PHOTO"),  # a huge picture over a few bytes
        (with_part(2, chunk(b"IDAT", zlib.compress(bytes(9)) + bytes(20_000))), "MALFORMED_PHOTO"),
        (before(chunk(b"ABCD", b""), b"IDAT"), "MALFORMED_PHOTO"),  # unknown and critical
        (before(struct.pack(">I4s", 3, b"ab\x80d"), b"IDAT"), "MALFORMED_PHOTO"),
        (before(struct.pack(">I4s", 0x80000000, b"tEXt"), b"IDAT"), "MALFORMED_PHOTO"),
        (before(struct.pack(">I4s", 0x7FFFFFFF, b"tEXt"), b"IDAT"), "TRUNCATED_PHOTO"),  # a length that lies
        (before(chunk(b"PLTE", b""), b"PLTE", PALETTE), "MALFORMED_PHOTO"),
        (before(chunk(b"PLTE", bytes(3)), b"PLTE", PALETTE), "MALFORMED_PHOTO"),  # two palettes
        (with_part(2, chunk(b"PLTE", bytes(769)), PALETTE), "MALFORMED_PHOTO"),
        (with_part(2, chunk(b"PLTE", bytes(5)), PALETTE), "MALFORMED_PHOTO"),
        (with_part(2, b"", PALETTE), "MALFORMED_PHOTO"),
        (with_part(3, b"", with_part(2, b"", PALETTE)), "MALFORMED_PHOTO"),
        (with_part(3, chunk(b"tRNS", bytes(257)), PALETTE), "MALFORMED_PHOTO"),
        (with_part(3, chunk(b"tRNS", b""), PALETTE), "MALFORMED_PHOTO"),
        (before(chunk(b"tRNS", bytes(3)), b"tRNS", PALETTE), "MALFORMED_PHOTO"),
        (before(chunk(b"tRNS", bytes(5)), b"IDAT"), "MALFORMED_PHOTO"),
    ],
    ids=plain_id,
)
def test_refused(broken: bytes, expected: str) -> None:
    assert reason(broken) == expected


def test_a_suggested_palette_is_dropped_from_true_colour() -> None:
    assert scrub(before(chunk(b"PLTE", photos.CANARY[:18]), b"IDAT"))[0] == BASE


def test_transparency_has_no_spare_bits() -> None:
    """Samples of 8 bits are stored in 16; decoders mask the rest (section 11.3.1.1)."""
    clean, facts = scrub(before(chunk(b"tRNS", b"C\1N\2A\3"), b"IDAT"))
    assert clean == before(chunk(b"tRNS", b"\0\1\0\2\0\3"), b"IDAT")
    assert facts.has_alpha


def test_transparency_where_it_means_nothing_is_dropped() -> None:
    rgba = photos.pngs()["rgba"]
    assert scrub(before(chunk(b"tRNS", photos.CANARY[:6]), b"IDAT", rgba))[0] == rgba
    assert scrub(before(chunk(b"tRNS", photos.CANARY[:6]), b"IEND"))[0] == BASE


def test_a_bomb_in_text_is_never_inflated() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    for part in (chunk(b"zTXt", b"a\0\0" + bomb), chunk(b"iTXt", b"a\0\1\0\0\0" + bomb)):
        assert scrub(before(part, b"IDAT"))[0] == BASE


def test_a_bomb_in_a_profile_is_inflated_up_to_the_bound() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    clean, facts = scrub(before(chunk(b"iCCP", b"a\0\0" + bomb), b"IDAT"))
    assert clean == BASE
    assert facts.colour_profile_dropped


def test_the_picture_of_an_apng_is_that_of_its_idats() -> None:
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 48, 32, 0, 0, 1, 10, 0, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 1, 48, 32, 0, 0, 1, 10, 0, 0))
    data = chunk(b"fdAT", struct.pack(">I", 2) + PARTS[2][8:-4])
    counted = chunk(b"acTL", struct.pack(">II", 2, 0))
    first_is_picture = b"".join([*PARTS[:2], counted, control, PARTS[2], frame, data, PARTS[3]])
    picture_is_apart = b"".join([*PARTS[:2], counted, PARTS[2], control, frame, data, PARTS[3]])
    for apng in (first_is_picture, picture_is_apart):
        clean, facts = scrub(apng)
        assert clean == BASE
        assert facts.removed[Removed.ANIMATION] == len(apng) - len(BASE)


class TestInflated:
    """With ``inflate_idat``, nothing can hide behind the picture's data."""

    LIMITS = Limits(inflate_idat=True)
    ROWS = zlib.decompress(PARTS[2][8:-4])

    @pytest.mark.parametrize("name", sorted(photos.pngs()))
    @pytest.mark.parametrize("size", [1, 99, 1 << 16])
    def test_every_real_picture_passes(self, name: str, size: int) -> None:
        data = photos.pngs()[name]
        assert scrub(data, size=size, limits=self.LIMITS)[0] == scrub(data)[0]

    @pytest.mark.parametrize(
        ("stream", "expected"),
        [
            (zlib.compress(ROWS) + photos.CANARY, "MALFORMED_PHOTO"),
            (zlib.compress(ROWS + b"?"), "MALFORMED_PHOTO"),
            (zlib.compress(ROWS[:-1]), "TRUNCATED_PHOTO"),
            (zlib.compress(ROWS)[:-1], "TRUNCATED_PHOTO"),
            (zlib.compress(ROWS)[:-1] + b"?", "MALFORMED_PHOTO"),
        ],
        ids=plain_id,
    )
    def test_anything_else_does_not(self, stream: bytes, expected: str) -> None:
        data = with_part(2, chunk(b"IDAT", stream))
        assert reason(data, limits=self.LIMITS) == expected
        assert reason(photos.resplit(data, 7), limits=self.LIMITS) == expected


class TestColour:
    CHRM = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
    P3 = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
    ODD = chunk(b"cHRM", struct.pack(">8I", *b"CANARY!!"))
    GAMA = chunk(b"gAMA", struct.pack(">I", 45455))
    OURS = chunk(b"iCCP", b"P\0\0" + zlib.compress(icc.profile(Colour.ADOBE_RGB)))

    @pytest.mark.parametrize(
        ("said", "colour", "kept"),
        [
            (b"", Colour.SRGB, None),
            (chunk(b"sRGB", b"\3"), Colour.SRGB, b"sRGB"),
            (GAMA, Colour.SRGB, b"sRGB"),
            (GAMA + CHRM, Colour.SRGB, b"sRGB"),
            (GAMA + P3, Colour.DISPLAY_P3, b"iCCP"),
            (GAMA + ODD, Colour.UNKNOWN, None),
            (chunk(b"gAMA", b"CNRY"), Colour.UNKNOWN, None),
            (chunk(b"cICP", b"\x0c\x0d\0\1") + GAMA, Colour.DISPLAY_P3, b"iCCP"),
            (chunk(b"cICP", b"\x09\x10\0\1"), Colour.UNKNOWN, None),  # HDR
            (OURS + GAMA + CHRM, Colour.ADOBE_RGB, b"iCCP"),
            (chunk(b"iCCP", b"broken"), Colour.UNKNOWN, None),
            (chunk(b"iCCP", b"n\0\0not zlib"), Colour.UNKNOWN, None),
        ],
        ids=plain_id,
    )
    def test_becomes_canonical(self, said: bytes, colour: Colour, kept: bytes | None) -> None:
        clean, facts = scrub(before(said, b"IDAT"))
        assert facts.colour is colour
        assert facts.colour_profile_dropped is (colour is Colour.UNKNOWN)
        assert kinds(clean) == [b"IHDR", *([kept] if kept else []), b"IDAT", b"IEND"]
        assert scrub(clean) == (clean, scrub(clean)[1])
        assert scrub(clean)[1].removed == {}

    def test_a_profile_of_rgb_does_not_fit_grey(self) -> None:
        clean, facts = scrub(before(self.OURS, b"IDAT", photos.pngs()["grey"]))
        assert (clean, facts.colour) == (photos.pngs()["grey"], Colour.UNKNOWN)


def test_ai_marks_in_xmp_and_manifest() -> None:
    for part in (chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + photos.AI_MARK), chunk(b"caBX", photos.AI_MARK)):
        assert scrub(before(part, b"IEND"), size=9)[1].ai_generated
    assert not scrub(before(chunk(b"tEXt", b"a\0" + photos.AI_MARK), b"IEND"))[1].ai_generated
