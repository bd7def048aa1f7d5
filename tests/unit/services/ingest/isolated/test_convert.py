"""What comes out of a converted file: the picture, upright, in sRGB, and nothing else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from services.ingest.report import Colour, Format, Removed, Source
from services.ingest.scrub import icc
from services.ingest.verify import Verifier
from tests.photos import AI_MARK, CANARY, jpeg
from tests.unit.services.ingest.isolated import samples
from tests.unit.services.ingest.isolated.conftest import Desk
from tests.unit.services.ingest.isolated.samples import psnr, upright

SOURCES = list(Source)
LOSSY = 30.0  # dB: two lossy codings at high quality over hard edges


def shown(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_upright_once(desk: Desk, source: Source, orientation: int) -> None:
    if source is Source.BMP and orientation > 1:
        return  # has no way to say it
    data, facts = desk.scrub(samples.file(source, orientation=orientation))
    assert (facts.width, facts.height) == samples.SIZE
    assert (facts.orientation, facts.format, facts.converted_from) == (1, Format.JPEG, source)
    assert psnr(shown(data), upright()) > LOSSY


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_planted_is_left(desk: Desk, source: Source) -> None:
    planted = samples.file(source, **({"compression": "raw"} if source is Source.TIFF else {}))
    assert CANARY in planted
    data, facts = desk.scrub(planted)
    assert CANARY not in data
    assert b"Exif" not in data
    assert b"http" not in data
    assert not shown(data).getexif()
    expected = {
        Source.HEIC: {Removed.EXIF, Removed.GPS, Removed.XMP},
        Source.AVIF: {Removed.EXIF, Removed.GPS, Removed.XMP},
        Source.TIFF: {Removed.XMP, Removed.TEXT, Removed.GPS},
        Source.BMP: {Removed.TRAILER},
    }[source]
    assert expected <= set(facts.removed)
    assert all(0 < size <= len(planted) for size in facts.removed.values())
    verifier = Verifier()
    assert b"".join(verifier.feed([data])) == data
    verifier.finish(facts)


@pytest.mark.parametrize("source", [Source.HEIC, Source.AVIF, Source.TIFF])
def test_a_wide_gamut_is_converted_not_lost(desk: Desk, source: Source) -> None:
    patch = Image.new("RGB", (64, 64), (200, 60, 60))
    profile = icc.profile(Colour.DISPLAY_P3)
    data, facts = desk.scrub(samples.file(source, patch, planted=False, icc_profile=profile))
    # (200, 60, 60) of Display P3 is (217, 46, 52) in sRGB: IEC 61966-2-1 and SMPTE EG 432-1, by hand.
    assert np.abs(np.asarray(shown(data))[32, 32].astype(int) - (217, 46, 52)).max() <= 5
    assert facts.colour is Colour.SRGB
    assert not facts.colour_profile_dropped
    assert facts.removed[Removed.ICC] >= len(profile)


def test_a_wide_gamut_said_by_number_only(desk: Desk) -> None:
    patch = Image.new("RGB", (64, 64), (200, 60, 60))
    for primaries, expected, colour in ((1, (200, 60, 60), Colour.SRGB), (12, (217, 46, 52), Colour.SRGB),
                                        (9, (200, 60, 60), Colour.UNKNOWN)):  # fmt: skip
        data, facts = desk.scrub(samples.file(Source.HEIC, patch, planted=False, color_primaries=primaries))
        assert np.abs(np.asarray(shown(data))[32, 32].astype(int) - expected).max() <= 6
        assert facts.colour is colour


@pytest.mark.parametrize("source", [Source.HEIC, Source.AVIF, Source.TIFF])
def test_transparency_is_kept_as_png(desk: Desk, source: Source) -> None:
    image = upright().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    data, facts = desk.scrub(samples.file(source, image, planted=False))
    made = shown(data)
    assert (facts.format, facts.has_alpha, made.mode) == (Format.PNG, True, "RGBA")
    alpha, expected = (np.asarray(each.getchannel("A"), int) for each in (made, image))
    assert np.abs(alpha - expected).max() <= 8
    opaque = upright().convert("RGBA")
    assert desk.scrub(samples.file(source, opaque, planted=False))[1].format is Format.JPEG


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16", "RGBA", "F"])
def test_every_mode_of_a_tiff(desk: Desk, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.asarray(upright().convert("L"), np.uint16) * 257)
    else:
        image = upright().convert(mode)
    data, _ = desk.scrub(samples.file(Source.TIFF, image, planted=False, compression="tiff_adobe_deflate"))
    assert psnr(shown(data), upright().convert("L") if mode in ("1", "L", "LA", "I;16", "F") else upright()) > (
        5 if mode == "1" else 20
    )


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg"])
def test_every_compression_of_a_tiff(desk: Desk, compression: str) -> None:
    data, _ = desk.scrub(samples.file(Source.TIFF, compression=compression))
    assert psnr(shown(data), upright()) > LOSSY


@pytest.mark.parametrize("source", [Source.HEIC, Source.AVIF, Source.TIFF])
def test_only_the_first_of_several_pictures(desk: Desk, source: Source) -> None:
    more = [Image.new("RGB", samples.SIZE, (9, 9, 9))] * 3
    data, _ = desk.scrub(samples.file(source, save_all=True, append_images=more))
    assert psnr(shown(data), upright()) > LOSSY
    assert CANARY not in data


def test_a_mark_of_ai_generation_is_noted(desk: Desk) -> None:
    for source in (Source.HEIC, Source.AVIF):
        assert not desk.scrub(samples.file(source))[1].ai_generated
        assert desk.scrub(samples.file(source, xmp=b"<x:xmpmeta>" + AI_MARK))[1].ai_generated


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("size", [1, 7, 63, 64, 65, 1 << 20])
def test_chunks_of_any_size(desk: Desk, source: Source, size: int) -> None:
    planted = samples.file(source, upright(32, 24))
    assert desk.scrub(planted, size=size) == desk.scrub(planted)


def test_what_streams_still_streams(desk: Desk) -> None:
    data, facts = desk.scrub(jpeg())
    assert facts.converted_from is None
    assert shown(data).size == shown(jpeg()).size
