"""Photos with a colour profile that we don't know: right colours, upright, and not a byte of the profile."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from clients.scrubbing.photo import clean
from mayfly.photo.v1 import photo_pb2 as pb
from services.ingest.isolated.passage import MOST_HEAD, Passage
from services.ingest.report import Colour, Format, Removed
from services.ingest.scrub import icc
from services.ingest.verify import Verifier
from tests.photos import AI_MARK, CANARY, chunk, jpeg, segment, with_chunks, with_segments
from tests.unit.services.ingest.isolated.conftest import LIMITS, Desk
from tests.unit.services.ingest.isolated.samples import _STORED, exif, psnr, upright
from tests.unit.services.ingest.isolated.test_servicer import received, serving
from tests.unit.services.ingest.scrubbing import scrub

FORMATS = [Format.JPEG, Format.PNG, Format.WEBP]
OPTIONS: dict[Format, dict[str, Any]] = {
    Format.JPEG: {"quality": 97, "subsampling": 0},
    Format.PNG: {},
    Format.WEBP: {"lossless": True},
}
# ProPhoto (ROMM, ISO 22028-2): primaries relative to D50, gamma 1.8.
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82490))


def wide(space: bytes = b"RGB ") -> bytes:
    """ProPhoto with a canary for its maker's name."""
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(1.8 * 256), 0)
    tags = {
        b"desc": icc._text("ProPhoto " + CANARY.decode("latin-1")),
        b"cprt": icc._text("CC0"),
        b"wtpt": icc._xyz_data(icc._D50),
        **{tag: icc._xyz_data(point) for tag, point in zip((b"rXYZ", b"gXYZ", b"bXYZ"), PROPHOTO, strict=True)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC", b"kTRC"), curve),
    }
    made = icc._assemble(tags)
    return made[:16] + space + made[20:48] + b"CNRY" + made[52:]


def file(format: Format, image: Image.Image | None = None, *, profile: bytes, **more: Any) -> bytes:
    out = io.BytesIO()
    (image or upright()).save(out, format.upper(), icc_profile=profile, **{**OPTIONS[format], **more})
    return out.getvalue()


def shown(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def reference(image: Image.Image, profile: bytes) -> Image.Image:
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    made = ImageCms.profileToProfile(image, opened, ImageCms.createProfile("sRGB"), intent, "RGB", flags=flags)
    assert made is not None
    return made


@pytest.mark.parametrize("format", FORMATS)
def test_the_colours_are_right_and_the_profile_gone(desk: Desk, format: Format) -> None:
    profile = wide()
    upload = file(format, profile=profile)
    data, facts = desk.scrub(upload)
    expected = reference(shown(upload), profile)
    assert psnr(shown(data), expected) > 38
    assert psnr(upright(), expected) < 26, "the profile matters"
    assert (facts.format, facts.converted_from) == (Format.JPEG, format)
    assert (facts.colour, facts.colour_profile_dropped) == (Colour.SRGB, False)
    assert facts.removed[Removed.ICC] > (len(profile) // 4 if format is Format.PNG else len(profile))
    assert not shown(data).info.get("icc_profile")
    for planted in (b"CNRY", CANARY, CANARY.decode("latin-1").encode("utf-16-be"), b"ProPhoto", b"ICC"):
        assert planted not in data
    assert scrub(data)[0] == data
    verifier = Verifier()
    assert b"".join(verifier.feed([data])) == data
    verifier.finish(facts)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_upright_once(desk: Desk, format: Format, orientation: int) -> None:
    image = upright() if orientation == 1 else upright().transpose(_STORED[orientation])
    data, facts = desk.scrub(file(format, image, profile=wide(), exif=b"Exif\0\0" + exif(orientation)))
    assert (facts.orientation, facts.width, facts.height) == (1, *upright().size)
    assert psnr(shown(data), reference(upright(), wide())) > 38
    assert {Removed.EXIF, Removed.GPS} <= set(facts.removed)
    assert CANARY not in data


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [1, 63, 64, 1000, 1 << 20])
def test_chunks_of_any_size(desk: Desk, format: Format, size: int) -> None:
    upload = file(format, upright(32, 24), profile=wide())
    assert desk.scrub(upload, size=size) == desk.scrub(upload)


@pytest.mark.parametrize("format", [Format.PNG, Format.WEBP])
def test_transparency_is_kept_as_png(desk: Desk, format: Format) -> None:
    image = upright().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    upload = file(format, image, profile=wide())
    data, facts = desk.scrub(upload)
    made = shown(data)
    assert (facts.format, facts.has_alpha, facts.converted_from) == (Format.PNG, True, format)
    assert np.array_equal(np.asarray(made)[..., 3], np.asarray(shown(upload))[..., 3])
    expected = np.asarray(reference(shown(upload).convert("RGB"), wide()), int)
    assert np.abs(np.asarray(made)[..., :3] - expected)[np.asarray(made)[..., 3] > 0].max() <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "P", "I;16"])
def test_other_pixels_of_a_png(desk: Desk, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.asarray(upright().convert("L"), np.uint16) * 257 // 3)
    else:
        image = upright().convert(mode)
    profile = wide() if mode == "P" else wide(b"GRAY")
    data, facts = desk.scrub(file(Format.PNG, image, profile=profile))
    assert (facts.converted_from, facts.colour) == (Format.PNG, Colour.SRGB)
    if mode == "I;16":
        eight = Image.fromarray((np.asarray(image, float) / 257).astype(np.uint8))
    else:
        eight = image.convert("RGB" if mode == "P" else "L")
    assert psnr(shown(data), reference(eight, profile)) > 33


def print_profile() -> bytes:
    """CMYK by a table of its 16 corners (lut8Type): each ink takes its part of L, cyan and magenta move a, b."""
    corners = b""
    for corner in range(16):
        c, m, y, k = (corner >> shift & 1 for shift in (3, 2, 1, 0))
        light = max(0, 255 - 60 * c - 70 * m - 20 * y) * (1 - k)
        corners += bytes((light, 128 + (-40 * c + 60 * m) * (1 - k), 128 + (-40 * c + 70 * y) * (1 - k)))
    straight = bytes(range(256))
    matrix = struct.pack(">9i", *(icc._fixed(value) for value in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + straight * 4 + corners + straight * 3
    made = icc._assemble({b"desc": icc._text("Press"), b"wtpt": icc._xyz_data(icc._D50), b"A2B0": table})
    return made[:8] + b"\x02\x40\0\0prtrCMYKLab " + made[24:]


def test_inks_of_a_jpeg_for_print(desk: Desk) -> None:
    image = upright().convert("CMYK")
    upload = file(Format.JPEG, image, profile=print_profile())
    data, facts = desk.scrub(upload)
    assert (facts.converted_from, facts.colour, shown(data).mode) == (Format.JPEG, Colour.SRGB, "RGB")
    assert psnr(shown(data), reference(shown(upload), print_profile())) > 38


def broken_profiles() -> dict[str, bytes]:
    good = wide()
    return {
        "noise": b"\x93" * 500,
        "cut off": good[:-40],
        "a tag outside": good[:172] + b"\xff\xff\xff\0" + good[176:],
        "for other pixels": good[:16] + b"CMYK" + good[20:],
        "for grey": wide(b"GRAY"),
        "a device link": good[:12] + b"link" + good[16:],
        "many tags": good[:128] + b"\xff\xff\xff\xff" + good[132:],
        "empty": b"",
    }


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("what", broken_profiles())
def test_a_profile_of_no_use_leaves_the_lossless_scrub(desk: Desk, format: Format, what: str) -> None:
    upload = file(format, profile=broken_profiles()[what])
    data, facts = desk.scrub(upload)
    assert (data, facts) == scrub(upload, limits=LIMITS)
    if what != "empty":
        assert (facts.colour, facts.colour_profile_dropped, facts.converted_from) == (Colour.UNKNOWN, True, None)
        assert b"CNRY" not in data


def test_a_bomb_of_a_profile_is_not_inflated_whole(desk: Desk) -> None:
    bomb = chunk(b"iCCP", b"x\0\0" + zlib.compress(wide() + bytes(64 << 20), 9))
    plain = io.BytesIO()
    upright().save(plain, "PNG")
    upload = with_chunks(plain.getvalue(), [(0, bomb)])
    data, facts = desk.scrub(upload)
    assert (facts.colour, facts.converted_from) == (Colour.UNKNOWN, None)
    assert data == scrub(upload, limits=LIMITS)[0]


def in_parts(profile: bytes, size: int = 200) -> list[bytes]:
    cut = [profile[at : at + size] for at in range(0, len(profile), size)]
    return [
        segment(0xE2, b"ICC_PROFILE\0" + bytes((number, len(cut))) + part) for number, part in enumerate(cut, start=1)
    ]


def test_a_profile_in_parts_in_any_order(desk: Desk) -> None:
    base = jpeg(96, 64, quality=97)
    whole = desk.scrub(with_segments(base, [(0, b"".join(in_parts(wide(), 60_000)))]))[0]
    parts = in_parts(wide())
    assert desk.scrub(with_segments(base, [(0, b"".join(parts))]))[0] == whole
    assert desk.scrub(with_segments(base, [(0, b"".join(reversed(parts)))]))[0] == whole
    assert desk.scrub(with_segments(base, [(0, b"".join(parts[:-1]))]))[1].colour is Colour.UNKNOWN


def test_an_ai_mark_and_a_trailer_are_still_seen(desk: Desk) -> None:
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + AI_MARK)
    upload = with_segments(file(Format.JPEG, profile=wide()), [(0, xmp)]) + CANARY
    data, facts = desk.scrub(upload)
    assert facts.ai_generated
    assert facts.removed[Removed.TRAILER] == len(CANARY)
    assert CANARY not in data


def test_a_profile_beyond_what_is_held_is_dropped(desk: Desk) -> None:
    filler = segment(0xEF, bytes(65_000)) * (MOST_HEAD // 65_000 + 1)
    upload = with_segments(file(Format.JPEG, profile=wide()), [(0, filler)])
    for size in (1 << 16, 1 << 23):
        assert desk.scrub(upload, size=size)[1].colour_profile_dropped


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("colour", [None, Colour.DISPLAY_P3])
def test_known_and_no_profiles_still_stream(desk: Desk, format: Format, colour: Colour | None) -> None:
    """The first byte is out long before the last is in, and the output is the scrubber's."""
    noise = Image.effect_noise((200, 150), 90).convert("RGB")
    upload = file(format, noise, profile=icc.profile(colour) if colour else b"")

    async def first_out() -> int:
        passage = Passage(LIMITS, desk.converter)
        for at in range(0, len(upload), 512):
            if passage.feed(upload[at : at + 512]):
                return at
        return len(upload)

    assert asyncio.run(first_out()) < 4096 < len(upload) // 2
    assert desk.scrub(upload) == scrub(upload, limits=LIMITS)


def test_the_command_converts_too() -> None:
    upload = file(Format.PNG, upright().transpose(_STORED[6]), profile=wide(), exif=b"Exif\0\0" + exif(6))
    made = clean(upload)
    assert made.converted
    assert made.facts.converted_from is Format.PNG
    assert psnr(shown(made.data), reference(upright(), wide())) > 38


async def test_on_the_wire_it_is_announced_and_attested() -> None:
    async with serving(decode_check=True) as ingest:
        first, *middle, last = await received(await ingest.upload(file(Format.JPEG, profile=wide())))
        header = first.header.scrubbed
        assert (header.converted_from, header.color_space) == ("jpeg", pb.COLOR_SPACE_SRGB)
        assert pb.ScrubbedHeader.FromString(last.seal.attestation.scrubbed_header) == header
        data = b"".join(frame.chunk for frame in middle)
        assert psnr(shown(data), reference(upright(), wide())) > 38
        first, *_, last = await received(await ingest.upload(file(Format.JPEG, profile=b"\x93" * 500)))
        assert (first.header.scrubbed.converted_from, last.seal.byte_count > 0) == ("", True)
        assert first.header.scrubbed.color_space == pb.COLOR_SPACE_ASSUMED_SRGB
