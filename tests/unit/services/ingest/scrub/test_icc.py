"""Profiles: ours are valid, others' are recognised by what they describe, nonsense is unknown."""

from __future__ import annotations

import io
import random
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from services.ingest.report import Colour
from services.ingest.scrub import icc

OURS = (Colour.DISPLAY_P3, Colour.ADOBE_RGB)


@pytest.mark.parametrize("colour", OURS)
def test_ours_are_small_valid_and_recognised(colour: Colour) -> None:
    profile = icc.profile(colour)
    assert len(profile) < 600
    assert int.from_bytes(profile[:4]) == len(profile)
    assert icc.recognise(profile) is colour
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    assert opened.profile_description == {"display-p3": "Display P3", "adobe-rgb": "Adobe RGB"}[colour]
    assert profile[24:36] == bytes(12)  # no date
    assert profile[48:56] == bytes(8)  # no maker, no model


@pytest.mark.parametrize(("colour", "red"), [(Colour.DISPLAY_P3, (0.680, 0.320)), (Colour.ADOBE_RGB, (0.640, 0.330))])
def test_ours_mean_what_they_say(colour: Colour, red: tuple[float, float]) -> None:
    """A colour management library reads the standard's primaries out of them, and grey stays grey."""
    opened = ImageCms.ImageCmsProfile(io.BytesIO(icc.profile(colour)))
    assert opened.profile.red_primary and opened.profile.chromatic_adaptation
    adapted, _ = opened.profile.red_primary
    point = np.linalg.solve(np.array(opened.profile.chromatic_adaptation[0]), np.array(adapted))
    assert tuple(point[:2] / point.sum()) == pytest.approx(red, abs=0.002)
    grey = Image.new("RGB", (1, 1), (128, 128, 128))
    converted = ImageCms.profileToProfile(grey, opened, ImageCms.createProfile("sRGB"))
    assert converted is not None
    pixel = converted.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert max(pixel) - min(pixel) <= 1
    assert pixel[0] == pytest.approx(128, abs=3)


def test_the_library_srgb_is_srgb() -> None:
    assert icc.recognise(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()) is Colour.SRGB


def with_curve(colour: Colour, curve: bytes) -> bytes:
    """A profile of this space's primaries with another curve, at the end."""
    ours = icc.profile(colour)
    at = len(ours)
    tags = bytearray(ours)
    for entry in range(132, 132 + 12 * int.from_bytes(ours[128:132]), 12):
        if ours[entry + 1 : entry + 4] == b"TRC":
            tags[entry + 4 : entry + 12] = struct.pack(">II", at, len(curve))
    return bytes(tags) + curve


def sampled(count: int, gamma: float) -> bytes:
    values = [round(65535 * (i / max(1, count - 1)) ** gamma) for i in range(count)]
    return b"curv\0\0\0\0" + struct.pack(f">I{count}H", count, *values)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (sampled(1024, 2.2), Colour.DISPLAY_P3),
        (b"curv\0\0\0\0\0\0\0\1\2\x33", Colour.DISPLAY_P3),  # gamma 2.2 as 8.8 fixed point
        (b"para\0\0\0\0\0\0\0\0\0\2\x33\x33", Colour.DISPLAY_P3),
        (sampled(1024, 1.0), Colour.UNKNOWN),
        (b"curv\0\0\0\0\0\0\0\0", Colour.UNKNOWN),  # linear
        (b"curv\0\0\0\0\0\0\0\1\1\xcd", Colour.UNKNOWN),  # gamma 1.8
        (b"curv\0\0\0\0\xff\xff\xff\xff\0\0", Colour.UNKNOWN),
        (b"para\0\0\0\0\0\x09\0\0", Colour.UNKNOWN),
        (b"para\0\0\0\0\0\3\0\0" + b"\x80\0\0\0" * 5, Colour.UNKNOWN),
        (b"para\0\0\0\0\0\3\0\0" + b"\x7f\xff\xff\xff" * 5, Colour.UNKNOWN),
        (b"para\0\0\0\0\0\3\0\0", Colour.UNKNOWN),
        (b"", Colour.UNKNOWN),
    ],
)
def test_the_curve_must_fit_too(curve: bytes, expected: Colour) -> None:
    assert icc.recognise(with_curve(Colour.DISPLAY_P3, curve)) is expected


def test_a_grey_profile_with_a_usual_curve_is_no_news() -> None:
    grey = bytearray(icc.profile(Colour.DISPLAY_P3))
    grey[16:20] = b"GRAY"
    assert icc.recognise(bytes(grey)) is Colour.UNKNOWN
    at = grey.index(b"rTRC")
    grey[at : at + 4] = b"kTRC"
    assert icc.recognise(bytes(grey)) is Colour.SRGB


@pytest.mark.parametrize("space", [b"CMYK", b"Lab ", b"\0\0\0\0"])
def test_other_spaces_are_unknown(space: bytes) -> None:
    profile = icc.profile(Colour.DISPLAY_P3)
    assert icc.recognise(profile[:16] + space + profile[20:]) is Colour.UNKNOWN


def test_any_mutation_and_any_beginning_is_survived() -> None:
    chance = random.Random(7)
    for colour in OURS:
        profile = icc.profile(colour)
        for end in range(len(profile)):
            icc.recognise(profile[:end])
        for _ in range(2000):
            broken = bytearray(profile)
            for _ in range(chance.randrange(1, 6)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            assert icc.recognise(bytes(broken)) in Colour
