"""All eight orientations in every format: the picture stands as the tag asked for, and what can be kept is kept."""

from __future__ import annotations

import io
import shutil
import struct
from typing import ClassVar

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from clients.scrubbing import jpegtran
from clients.scrubbing.photo import Clean, Turned, clean
from services.ingest.report import Colour
from services.ingest.scrub import icc
from tests import photos
from tests.photos import chunk, riff_chunk, segment

TURNS = range(1, 9)


def told(data: bytes, orientation: int) -> bytes:
    """The same photo with EXIF that says how to turn it."""
    block = photos.exif(orientation)
    if data[:2] == b"\xff\xd8":
        return photos.with_segments(data, [(0, segment(0xE1, b"Exif\0\0" + block))])
    if data[:4] == b"RIFF":
        return photos.with_riff_chunks(data, [(9, riff_chunk(b"EXIF", block))])
    return photos.with_chunks(data, [(0, chunk(b"eXIf", block))])


def expected(data: bytes, orientation: int) -> Image.Image:
    """What Pillow, of which we ask no other opinion, makes of the tag."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        exif = image.getexif()
        exif[0x0112] = orientation
        image.info["exif"] = exif.tobytes()
        return ImageOps.exif_transpose(image).convert("RGBA")


def shown(found: Clean) -> Image.Image:
    with Image.open(io.BytesIO(found.data)) as image:
        assert not image.getexif()
        return image.convert("RGBA")


def error(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of a sample, of 255."""
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("name", sorted(photos.pngs()))
def test_png(name: str, orientation: int) -> None:
    data = photos.pngs()[name]
    found = clean(told(data, orientation))
    assert shown(found).tobytes() == expected(data, orientation).tobytes()
    assert found.turned == (Turned.NOT_NEEDED if orientation == 1 else Turned.LOSSLESS)
    assert (found.facts.width, found.facts.height) == shown(found).size
    assert photos.CANARY not in found.data
    if name == "16-bit":
        assert found.data[24] == 16


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("name", ["lossless", "lossless-alpha"])
def test_lossless_webp(name: str, orientation: int) -> None:
    data = photos.webps()[name]
    found = clean(told(data, orientation))
    assert shown(found).tobytes() == expected(data, orientation).tobytes()
    assert found.turned == (Turned.NOT_NEEDED if orientation == 1 else Turned.LOSSLESS)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("size", [(48, 32), (37, 23)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_lossy_webp_is_re_encoded_and_says_so(mode: str, size: tuple[int, int], orientation: int) -> None:
    ramp = Image.linear_gradient("L").resize(size)  # soft: WebP halves the resolution of colours
    data = photos.encode(Image.merge(mode, (ramp, ramp.rotate(180), ramp, ramp)[: len(mode)]), "WEBP")
    found = clean(told(data, orientation))
    assert error(shown(found), expected(data, orientation)) < 4
    assert found.turned == (Turned.NOT_NEEDED if orientation == 1 else Turned.RE_ENCODED)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("name", ["baseline", "progressive", "grey", "cmyk", "odd-size"])
def test_jpeg_without_jpegtran_is_re_encoded_and_says_so(
    name: str, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    data = photos.jpegs()[name]
    found = clean(told(data, orientation))
    assert error(shown(found), expected(data, orientation)) < 4
    assert found.turned == (Turned.NOT_NEEDED if orientation == 1 else Turned.RE_ENCODED)
    assert (found.facts.orientation, found.facts.removed["exif"] > 0) == (orientation, True)


class TestJpegtran:
    BACK: ClassVar = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}

    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        if shutil.which("jpegtran") is None:
            pytest.skip("jpegtran is not installed (Debian package libjpeg-turbo-progs)")

    @pytest.mark.parametrize("orientation", sorted(BACK))
    @pytest.mark.parametrize("name", ["baseline", "progressive", "grey", "cmyk", "rgb-coded", "restarts"])
    def test_every_coefficient_stays(self, name: str, orientation: int) -> None:
        data = photos.jpegs()[name]
        found = clean(told(data, orientation))
        assert found.turned is Turned.LOSSLESS
        assert error(shown(found), expected(data, orientation)) < 1.5
        back = jpegtran.turned(found.data, self.BACK[orientation])
        there_and_back = jpegtran.turned(jpegtran.turned(clean(data).data, 3) or b"", 3)
        assert back is not None and there_and_back is not None
        assert photos.decoded(back) == photos.decoded(there_and_back)

    def test_sides_that_are_not_whole_blocks_are_re_encoded(self) -> None:
        assert clean(told(photos.jpegs()["odd-size"], 6)).turned is Turned.RE_ENCODED

    def test_the_profile_stays(self) -> None:
        profile = segment(0xE2, b"ICC_PROFILE\0\1\1" + icc.profile(Colour.DISPLAY_P3))
        found = clean(told(photos.with_segments(photos.jpeg(), [(0, profile)]), 6))
        assert icc.profile(Colour.DISPLAY_P3) in found.data


@pytest.mark.parametrize("broken", ["missing", "failing", "hanging"])
def test_a_jpegtran_that_does_not_work_is_done_without(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = {"missing": "/nowhere/jpegtran", "failing": "/bin/false", "hanging": "/usr/bin/yes"}[broken]
    monkeypatch.setattr(shutil, "which", lambda _: program)
    if broken == "hanging":
        monkeypatch.setattr(jpegtran, "_SECONDS", 0.0)
    assert jpegtran.turned(photos.jpeg(), 6) is None


def test_a_profile_survives_the_turn() -> None:
    for make in (photos.png, photos.webp):
        found = clean(told(make(icc_profile=icc.profile(Colour.DISPLAY_P3)), 6))
        with Image.open(io.BytesIO(found.data)) as image:
            assert image.info["icc_profile"] == icc.profile(Colour.DISPLAY_P3)


def test_deep_colour_says_that_it_was_re_encoded() -> None:
    rows = b"".join(b"\0" + struct.pack(">6H", *range(y, y + 6)) for y in range(3))
    deep = photos.raw_png(2, 3, 16, 2, rows)
    assert clean(deep).data == deep
    assert clean(told(deep, 6)).turned is Turned.RE_ENCODED


def test_data_behind_a_png_picture_is_found() -> None:
    """Nothing decodes after a standalone scrub, so it inflates."""
    parts = photos.png_parts(photos.png())
    parts[2] = chunk(b"IDAT", parts[2][8:-4] + photos.CANARY)
    with pytest.raises(Exception, match="MALFORMED_PHOTO"):
        clean(b"".join(parts))
