"""WebP's traps, one by one."""

from __future__ import annotations

import pytest
from PIL import Image

from services.ingest.report import Colour, Removed
from services.ingest.scrub import Scrubber, icc
from tests import photos
from tests.photos import riff, riff_chunk, vp8x
from tests.unit.services.ingest.scrubbing import LIMITS, plain_id, reason, scrub

LOSSY = photos.webps()["lossy"]
LOSSLESS = photos.webps()["lossless"]
ALPHA = photos.webps()["lossy-alpha"]
VP8 = photos.riff_parts(LOSSY)[0]
VP8L = photos.riff_parts(LOSSLESS)[0]
_, ALPH, VP8_OF_ALPHA = photos.riff_parts(ALPHA)
EXIF = photos.webp_metadata()["exif"]


def kinds(data: bytes) -> list[bytes]:
    return [part[:4] for part in photos.riff_parts(data)]


def test_the_parts_are_what_these_tests_think() -> None:
    assert (kinds(LOSSY), kinds(LOSSLESS)) == ([b"VP8 "], [b"VP8L"])
    assert kinds(ALPHA) == [b"VP8X", b"ALPH", b"VP8 "]


def test_a_picture_of_one_chunk_becomes_a_simple_file() -> None:
    for original in (LOSSY, LOSSLESS, photos.webps()["lossless-alpha"]):
        everything = [(i, each) for i, each in enumerate(photos.webp_metadata().values())]
        assert scrub(photos.with_riff_chunks(original, everything))[0] == original


def test_vp8x_is_left_with_its_alpha_flag_alone() -> None:
    loud = riff([vp8x(48, 32, 0x3C), EXIF, ALPH, EXIF, VP8_OF_ALPHA, EXIF])
    assert scrub(loud)[0] == ALPHA


VP8_HEAD = VP8[8:18]


def lossy(head: bytes) -> bytes:
    return riff([riff_chunk(b"VP8 ", head + VP8[18:])])


def lossless(head: bytes) -> bytes:
    return riff([riff_chunk(b"VP8L", head + VP8L[13:])])


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (riff([]), "MALFORMED_PHOTO"),
        (riff([EXIF, VP8]), "MALFORMED_PHOTO"),  # metadata without VP8X
        (riff([ALPH, VP8]), "MALFORMED_PHOTO"),
        (riff([vp8x(48, 32)]), "MALFORMED_PHOTO"),  # no picture
        (riff([vp8x(48, 32), EXIF]), "MALFORMED_PHOTO"),
        (riff([vp8x(49, 32), VP8]), "MALFORMED_PHOTO"),  # two sizes
        (riff([riff_chunk(b"VP8X", bytes(12)), VP8]), "MALFORMED_PHOTO"),
        (riff([VP8, VP8]), "MALFORMED_PHOTO"),  # two pictures
        (riff([vp8x(48, 32), VP8, VP8L]), "MALFORMED_PHOTO"),
        (riff([vp8x(48, 32), VP8, ALPH]), "MALFORMED_PHOTO"),
        (riff([vp8x(48, 32), vp8x(48, 32), VP8]), "MALFORMED_PHOTO"),
        (riff([vp8x(48, 32, 0x10), ALPH, VP8L]), "MALFORMED_PHOTO"),
        (riff([vp8x(48, 32, 0x10), ALPH, ALPH, VP8]), "MALFORMED_PHOTO"),
        (riff([vp8x(48, 32, 0x10), riff_chunk(b"ALPH", b""), VP8]), "MALFORMED_PHOTO"),
        (riff([vp8x(48, 32, 0x10), riff_chunk(b"ALPH", b"\0" + bytes(99)), VP8]), "MALFORMED_PHOTO"),  # raw, too short
        (riff([vp8x(48, 32, 0x10), riff_chunk(b"ALPH", b"\2" + bytes(99)), VP8]), "MALFORMED_PHOTO"),
        (riff([vp8x(48, 32, 2), VP8]), "MALFORMED_PHOTO"),  # a still in an animation
        (riff([VP8], size=40), "MALFORMED_PHOTO"),  # the container ends inside its chunk
        (riff([VP8], size=4), "MALFORMED_PHOTO"),
        (riff([VP8], size=0), "MALFORMED_PHOTO"),
        (riff([VP8], size=len(VP8) + 100), "TRUNCATED_PHOTO"),
        (lossy(b"\1" + VP8_HEAD[1:]), "MALFORMED_PHOTO"),  # not a key frame
        (lossy(bytes((VP8_HEAD[0] | 0x0E,)) + VP8_HEAD[1:]), "MALFORMED_PHOTO"),  # version 7
        (lossy(bytes((VP8_HEAD[0] & 0xEF,)) + VP8_HEAD[1:]), "MALFORMED_PHOTO"),  # not shown
        (lossy(VP8_HEAD[:2] + b"\xff" + VP8_HEAD[3:]), "MALFORMED_PHOTO"),  # a partition that lies
        (lossy(VP8_HEAD[:3] + b"\x9d\1\x2b" + VP8_HEAD[6:]), "MALFORMED_PHOTO"),
        (lossy(VP8_HEAD[:6] + b"\0\0\x20\0"), "MALFORMED_PHOTO"),  # no width
        (riff([riff_chunk(b"VP8 ", VP8_HEAD[:9])]), "MALFORMED_PHOTO"),
        (lossless(b"\x2e" + VP8L[9:13]), "MALFORMED_PHOTO"),
        (lossless(VP8L[8:12] + bytes((VP8L[12] | 0x20,))), "MALFORMED_PHOTO"),  # version 1
        (riff([riff_chunk(b"VP8L", b"\x2f")]), "MALFORMED_PHOTO"),
        (riff([riff_chunk(b"VP8 ", VP8[8:] + bytes(1_000_000))]), "MALFORMED_PHOTO"),  # far too much
    ],
    ids=plain_id,
)
def test_refused(broken: bytes, expected: str) -> None:
    assert reason(broken) == expected


def test_bits_that_no_decoder_heeds_are_cleared() -> None:
    scaled = lossy(VP8_HEAD[:7] + bytes((VP8_HEAD[7] | 0xC0,)) + VP8_HEAD[8:9] + bytes((VP8_HEAD[9] | 0x40,)))
    assert scrub(scaled)[0] == LOSSY
    reserved = riff_chunk(b"ALPH", bytes((ALPH[8] | 0xC0,)) + ALPH[9 : 8 + int.from_bytes(ALPH[4:8], "little")])
    assert scrub(riff([vp8x(48, 32, 0x10), reserved, VP8_OF_ALPHA]))[0] == ALPHA


def test_padding_bytes_are_zero_and_may_be_missing() -> None:
    odd = riff_chunk(b"VP8 ", VP8[8:] + b"\0") if len(VP8) % 2 == 0 else VP8
    assert odd[-1] == 0
    expected = scrub(riff([odd]))[0]
    assert expected[-1] == 0
    assert scrub(riff([odd[:-1] + b"C"]))[0] == expected
    assert scrub(riff([odd[:-1]]))[0] == expected


def test_stray_bytes_after_the_last_chunk_are_dropped() -> None:
    clean, facts = scrub(riff([VP8, b"CANARY!"]))
    assert clean == LOSSY
    assert facts.removed[Removed.PADDING] == 7


class TestLargeAlpha:
    """An ALPH chunk too long to hold passes before the size of what follows is known."""

    NOISE = Image.effect_noise((400, 300), 90)

    def file(self) -> bytes:
        image = photos.picture(400, 300).copy()
        image.putalpha(self.NOISE)
        data = photos.encode(image, "WEBP")
        assert len(photos.riff_parts(data)[1]) > 64 * 1024
        return data

    def test_without_metadata_nothing_is_added(self) -> None:
        assert scrub(self.file())[0] == self.file()

    @pytest.mark.parametrize("place", [0, 1, 2])
    @pytest.mark.parametrize("load", [0, 1, 1000, 200_000])
    def test_removed_metadata_becomes_zeros(self, place: int, load: int) -> None:
        noisy = photos.with_riff_chunks(self.file(), [(place, riff_chunk(b"EXIF", photos.CANARY * load))])
        clean, _ = scrub(noisy)
        assert int.from_bytes(clean[4:8], "little") + 8 == len(clean)
        assert photos.CANARY not in clean
        assert photos.decoded(clean) == photos.decoded(self.file())
        assert scrub(clean)[0] == clean == scrub(noisy, size=1013)[0]
        assert set(kinds(clean)) <= {b"VP8X", b"ALPH", b"VP8 ", b"JUNK"}
        if place == 0:  # before ALPH, where the size isn't promised yet
            assert clean == self.file()
        else:
            assert not any(photos.riff_parts(clean)[-1][8:])

    @pytest.mark.parametrize("tail", [b"", b"\0"])
    def test_an_odd_length_and_a_missing_pad_keep_the_promise(self, tail: bytes) -> None:
        head, alpha, picture = photos.riff_parts(self.file())
        odd = riff_chunk(b"VP8 ", picture[8 : 8 + int.from_bytes(picture[4:8], "little")] + tail)
        for chunks in (
            [head, alpha, odd],
            [head, alpha, odd, EXIF],
            [head, alpha, odd[:-1]] if tail else [head, alpha, odd],
        ):
            clean, _ = scrub(riff(chunks))
            assert int.from_bytes(clean[4:8], "little") + 8 == len(clean)
            assert kinds(clean)[:3] == [b"VP8X", b"ALPH", b"VP8 "]
            assert scrub(clean)[0] == clean

    def test_the_picture_starts_leaving_before_it_has_arrived(self) -> None:
        assert sum(map(len, Scrubber(LIMITS).feed(self.file()[:60_000]))) > 59_000


class TestAnimation:
    def frame(self, *parts: bytes, x: int = 0, width: int = 48) -> bytes:
        place = x.to_bytes(3, "little") + bytes(3) + (width - 1).to_bytes(3, "little") + (31).to_bytes(3, "little")
        return riff_chunk(b"ANMF", place + bytes(4) + b"".join(parts))

    def file(self, *frames: bytes) -> bytes:
        return riff([vp8x(48, 32, 0x12), riff_chunk(b"ANIM", b"CNRY\0\0"), *frames, EXIF])

    def test_the_first_frame_becomes_a_still(self) -> None:
        moving = self.file(self.frame(VP8, EXIF), self.frame(VP8L))
        clean, facts = scrub(moving)
        assert clean == LOSSY
        assert facts.removed[Removed.ANIMATION] > len(VP8L)
        assert scrub(self.file(self.frame(VP8L)))[0] == LOSSLESS
        assert scrub(self.file(self.frame(EXIF, ALPH, VP8_OF_ALPHA), self.frame(VP8)))[0] == ALPHA

    def test_real_ones_from_an_encoder(self) -> None:
        first, second = photos.picture(), photos.picture().rotate(180)
        data = photos.encode(first, "WEBP", save_all=True, append_images=[second], duration=100)
        assert photos.decoded(scrub(data)[0])[0] == (48, 32)

    @pytest.mark.parametrize("place", [{"x": 1}, {"width": 47}])
    def test_a_first_frame_that_leaves_canvas_bare_is_refused(self, place: dict[str, int]) -> None:
        assert reason(self.file(self.frame(VP8, **place))) == "UNSUPPORTED_CODING"

    def test_frames_that_lie_are_refused(self) -> None:
        assert reason(self.file(riff_chunk(b"ANMF", bytes(8)))) == "MALFORMED_PHOTO"
        assert reason(self.file(self.frame())) == "MALFORMED_PHOTO"
        assert reason(self.file(self.frame(VP8, VP8))) == "MALFORMED_PHOTO"
        assert reason(self.file(self.frame(VP8[:-20]))) == "MALFORMED_PHOTO"


class TestColour:
    @pytest.mark.parametrize("still", [[VP8], [VP8L], [ALPH, VP8_OF_ALPHA]])
    def test_a_known_profile_becomes_ours(self, still: list[bytes]) -> None:
        profile = icc.profile(Colour.DISPLAY_P3)
        named = profile[:48] + b"CNRY" + profile[52:]
        data = riff([vp8x(48, 32, 0x30), riff_chunk(b"ICCP", named), *still])
        clean, facts = scrub(data)
        assert kinds(clean) == [b"VP8X", b"ICCP", *(part[:4] for part in still)]
        assert b"CNRY" not in clean
        assert facts.colour is Colour.DISPLAY_P3
        assert photos.decoded(clean) == photos.decoded(data)
        assert (scrub(clean)[0], scrub(clean)[1].removed) == (clean, {})

    def test_an_unknown_profile_is_dropped_and_said(self) -> None:
        clean, facts = scrub(riff([vp8x(48, 32, 0x20), riff_chunk(b"ICCP", photos.CANARY), VP8]))
        assert (clean, facts.colour_profile_dropped) == (LOSSY, True)

    def test_a_profile_after_the_picture_means_nothing(self) -> None:
        late = riff([vp8x(48, 32, 0x20), VP8, riff_chunk(b"ICCP", icc.profile(Colour.DISPLAY_P3))])
        assert scrub(late)[1].colour is Colour.SRGB


def test_ai_marks_in_xmp_and_manifest() -> None:
    for kind in (b"XMP ", b"C2PA"):
        assert scrub(riff([vp8x(48, 32), VP8, riff_chunk(kind, photos.AI_MARK)]), size=9)[1].ai_generated
    assert not scrub(riff([vp8x(48, 32), VP8, riff_chunk(b"zzzz", photos.AI_MARK)]))[1].ai_generated
