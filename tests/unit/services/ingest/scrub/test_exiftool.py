"""A second opinion: exiftool, which knows more metadata than anyone, finds none."""

from __future__ import annotations

import pytest

from tests import photos
from tests.unit.services.ingest.conftest import Exiftool
from tests.unit.services.ingest.scrubbing import scrub

STRUCTURE = {"PNG:", "RIFF:", "APP14:", "ICC-header:", "ICC_Profile:", "Adobe:"}


def metadata(found: dict[str, str]) -> dict[str, str]:
    return {tag: value for tag, value in found.items() if not any(tag.startswith(group) for group in STRUCTURE)}


def test_a_planted_phone_photo(exiftool: Exiftool) -> None:
    before = exiftool(photos.phone_jpeg())
    assert {"GPS:GPSLatitude", "IFD0:Model", "ExifIFD:SerialNumber", "XMP-dc:Creator"} <= before.keys()
    assert exiftool(scrub(photos.phone_jpeg())[0]) == {}


@pytest.mark.parametrize("name", ["rgb-coded", "cmyk", "progressive"])
def test_jpegs(exiftool: Exiftool, name: str) -> None:
    planted, _ = photos.planted_jpeg(photos.jpegs()[name])
    assert metadata(exiftool(planted))
    assert metadata(exiftool(scrub(planted)[0])) == {}


def test_png_and_webp(exiftool: Exiftool) -> None:
    kinds = ("exif", "text", "xmp", "time", "density")
    png = photos.with_chunks(photos.png(), [(i, photos.png_metadata()[kind]) for i, kind in enumerate(kinds)])
    webp = photos.with_riff_chunks(
        photos.webp(), [(i, photos.webp_metadata()[kind]) for i, kind in enumerate(("exif", "xmp"))]
    )
    for data in (png, webp):
        assert metadata(exiftool(data))
        clean = exiftool(scrub(data)[0])
        assert metadata(clean) == {}
        assert not any(photos.CANARY.decode() in value for value in clean.values())


def test_gif(exiftool: Exiftool) -> None:
    planted = photos.with_blocks(
        photos.gifs()["colour"], [(0, photos.gif_metadata()[kind]) for kind in ("comment", "loop", "private")]
    )
    assert photos.CANARY.decode() in str(exiftool(planted)) + planted.decode("latin-1")
    assert not [tag for tag in exiftool(scrub(planted)[0]) if not tag.startswith("GIF:")]
    assert not any(photos.CANARY.decode() in value for value in exiftool(scrub(planted)[0]).values())
