"""Each part in any form but the canonical one is caught, by name."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import pytest

from services.ingest.report import Colour
from services.ingest.scrub import icc
from tests import photos
from tests.photos import chunk, riff, riff_chunk, segment, vp8x
from tests.unit.services.ingest.scrubbing import plain_id, scrub
from tests.unit.services.ingest.verify.verifying import broken_rule, sample

Change = Callable[[list[bytes]], bytes]


def jpeg_rule(name: str, marker: int, change: Callable[[bytes], bytes]) -> str:
    """What the verifier says when the payload of the first such segment is changed."""
    data, facts = sample(f"jpeg {name}")
    parts = photos.jpeg_parts(data)
    at = next(i for i, part in enumerate(parts) if part[1] == marker)
    size = int.from_bytes(parts[at][2:4]) + 2
    parts[at] = segment(marker, change(parts[at][4:size])) + parts[at][size:]
    return broken_rule(b"".join(parts), facts)


@pytest.mark.parametrize(
    ("name", "marker", "change", "rule"),
    [
        ("baseline", 0xDB, lambda p: b"\4" + p[1:], "a quantization table"),
        ("baseline", 0xDB, lambda p: b"\3" + p[1:], "the order of tables"),
        ("baseline", 0xDB, lambda p: p + p, "a quantization table"),
        ("baseline", 0xDB, lambda p: p[:-1], "a quantization table"),
        ("baseline", 0xDB, lambda _: b"", "the length of a segment"),
        ("baseline", 0xC4, lambda p: b"\3" + p[1:], "the order of tables"),
        ("baseline", 0xC4, lambda p: p + b"?", "a Huffman table"),
        ("baseline", 0xC4, lambda p: p[:1] + b"\2" + bytes(15) + b"\0\1", "a Huffman table"),
        ("baseline", 0xC4, lambda p: p[:-1] + b"\x10", "a Huffman table"),
        ("baseline", 0xC0, lambda p: b"\x0c" + p[1:], "the frame"),
        ("baseline", 0xC0, lambda p: p + b"?", "the frame"),
        ("baseline", 0xC0, lambda p: p[:1] + bytes(2) + p[3:], "the frame"),
        ("baseline", 0xC0, lambda p: p[:-2] + b"\x51" + p[-1:], "the components of the frame"),
        ("baseline", 0xC0, lambda p: p[:9] + p[6:7] + p[10:], "the components of the frame"),
        ("baseline", 0xC0, lambda p: p[:1] + b"\0\x21" + p[3:], "the size announced"),
        ("baseline", 0xDA, lambda p: p[:-1] + b"\1", "the coefficients of a scan"),
        ("baseline", 0xDA, lambda p: p[:-2] + b"\0\0", "the coefficients of a scan"),
        ("baseline", 0xDA, lambda p: p[:2] + b"\4" + p[3:], "a table selector"),
        ("baseline", 0xDA, lambda p: p[:2] + b"\2" + p[3:], "a table that nothing reads"),
        ("baseline", 0xDA, lambda p: p[:1] + b"\x63" + p[2:], "the components of a scan"),
        ("baseline", 0xDA, lambda p: p + b"?", "the scan header"),
        ("baseline", 0xDA, lambda p: b"\1" + p[1:3] + p[-3:], "a table that nothing reads"),
        ("grey-progressive", 0xDA, lambda p: p[:2] + b"\1" + p[3:], "a table selector"),
        ("grey-progressive", 0xDA, lambda p: p[:-1] + b"\x20", "the precision of a scan"),
        ("grey-progressive", 0xDA, lambda p: p[:-2] + b"\5" + p[-1:], "the coefficients of a scan"),
        ("restarts", 0xDD, lambda p: p + b"?", "a restart interval"),
        ("restarts", 0xDD, lambda _: bytes(2), "a table that the decoder has already"),
        ("cmyk", 0xEE, lambda p: p[:-1] + b"\1", "APP14"),
        ("cmyk", 0xEE, lambda p: p[:7] + b"\1" + p[8:], "APP14"),
        ("cmyk", 0xEE, lambda p: p + b"?", "APP14"),
        ("rgb-coded", 0xEE, lambda p: p[:-1] + b"\2", "APP14"),
    ],
    ids=plain_id,
)
def test_jpeg(name: str, marker: int, change: Callable[[bytes], bytes], rule: str) -> None:
    assert jpeg_rule(name, marker, change) == rule


def test_a_jpeg_scan_that_comes_again() -> None:
    data, facts = sample("jpeg progressive")
    parts = photos.jpeg_parts(data)
    scans = [part for part in parts if part[1] == 0xDA]
    assert broken_rule(b"".join([*parts[:-1], scans[-1], parts[-1]]), facts) == "a coefficient that is sent twice"
    assert broken_rule(b"".join([*parts[:-1], scans[0], parts[-1]]), facts) == "a coefficient that is sent twice"


def test_jpeg_data_far_beyond_its_blocks() -> None:
    data, facts = sample("jpeg one-pixel")
    assert broken_rule(data[:-2] + bytes(60_000) + data[-2:], facts) == "more data than the picture can need"


@pytest.mark.parametrize("fill", [b"\xff", b"\xff\xff"])
def test_jpeg_fill_bytes(fill: bytes) -> None:
    data, facts = sample("jpeg baseline")
    for part in photos.jpeg_parts(data)[1:]:
        assert broken_rule(data.replace(part, fill + part), facts) != ""


def changed(kind: bytes, data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    parts = photos.png_parts(data)
    at = next(i for i, part in enumerate(parts) if part[4:8] == kind)
    parts[at] = change(parts[at])
    return b"".join(parts)


def remade(kind: bytes, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda part: chunk(kind, change(part[8:-4]))


@pytest.mark.parametrize(
    ("name", "kind", "change", "rule"),
    [
        ("rgb", b"IHDR", lambda part: part[:-1] + b"?", "a checksum"),
        ("rgb", b"IDAT", lambda part: part[:-1] + b"?", "a checksum"),
        ("rgb", b"IDAT", lambda part: part[:20] + b"????" + part[24:], "a checksum"),
        ("rgb", b"IEND", lambda part: part[:-1] + b"?", "a checksum"),
        ("rgb", b"IHDR", remade(b"IHDR", lambda d: d[:-1] + b"\2"), "the header"),
        ("rgb", b"IHDR", remade(b"IHDR", lambda d: d[:10] + b"\1" + d[11:]), "the header"),
        ("rgb", b"IHDR", remade(b"IHDR", lambda d: d[:8] + b"\4" + d[9:]), "the header"),
        ("rgb", b"IHDR", remade(b"IHDR", lambda d: bytes(4) + d[4:]), "the header"),
        ("rgb", b"IHDR", remade(b"IHDR", lambda d: d + b"?"), "the header"),
        ("rgb", b"IHDR", remade(b"IHDR", lambda d: d[:3] + b"\x31" + d[4:]), "the size announced"),
        ("rgb", b"IHDR", remade(b"IHDR", lambda d: b"\0\x01" + d[2:]), "a picture that is not all there"),
        ("one-pixel", b"IDAT", remade(b"IDAT", lambda d: d + bytes(9000)), "more data than the picture can need"),
        ("rgb", b"IDAT", remade(b"IDAT", lambda d: b"\x79" + d[1:]), "the compressed picture"),
        ("rgb", b"IEND", lambda part: chunk(b"IEND", b"?"), "the end"),
        ("palette", b"PLTE", remade(b"PLTE", lambda d: d[:-1]), "the palette"),
        ("palette", b"PLTE", remade(b"PLTE", lambda d: d + bytes(3 * 256)), "the palette"),
        ("palette-transparent", b"tRNS", remade(b"tRNS", lambda d: d + bytes(256)), "the transparency"),
        ("key-grey", b"tRNS", remade(b"tRNS", lambda d: b"\1" + d[1:]), "the transparency"),
        ("key-grey", b"tRNS", remade(b"tRNS", lambda d: d + d), "the transparency"),
        ("rgba", b"IDAT", lambda part: chunk(b"tRNS", bytes(6)) + part, "the transparency"),
        ("rgb", b"IDAT", lambda part: chunk(b"sRGB", b"\1") + part, "sRGB"),
        ("rgb", b"IDAT", lambda part: chunk(b"PLTE", bytes(3)) + part, "the palette"),
        ("rgb", b"IDAT", lambda part: part + chunk(b"sRGB", b"\0"), "the order of chunks"),
        ("rgb", b"IDAT", lambda part: b"\0\0\0\x04" + part[4:], "a checksum"),
    ],
    ids=plain_id,
)
def test_png(name: str, kind: bytes, change: Callable[[bytes], bytes], rule: str) -> None:
    data, facts = sample(f"png {name}")
    assert broken_rule(changed(kind, data, change), facts) == rule


WEBP = photos.webps()
VP8 = photos.riff_parts(WEBP["lossy"])[0]
VP8L = photos.riff_parts(WEBP["lossless"])[0]
HEAD, ALPH, BESIDE = photos.riff_parts(WEBP["lossy-alpha"])


def flagged(flags: int) -> bytes:
    return riff([vp8x(48, 32, flags), ALPH, BESIDE])


@pytest.mark.parametrize(
    ("name", "changed", "rule"),
    [
        ("lossy-alpha", flagged(0x14), "VP8X"),
        ("lossy-alpha", flagged(0x18), "VP8X"),
        ("lossy-alpha", flagged(0x12), "VP8X"),
        ("lossy-alpha", flagged(0x30), "VP8X"),
        ("lossy-alpha", flagged(0x91), "VP8X"),
        ("lossy-alpha", flagged(0), "VP8X"),
        ("lossy-alpha", riff([HEAD[:9] + b"?" + HEAD[10:], ALPH, BESIDE]), "VP8X"),
        ("lossy-alpha", riff([HEAD, ALPH[:8] + bytes((ALPH[8] | 0x40,)) + ALPH[9:], BESIDE]), "ALPH"),
        ("lossy-alpha", riff([vp8x(49, 32, 0x10), ALPH, BESIDE]), "two sizes for one picture"),
        ("lossy-alpha", riff([HEAD, ALPH]), "a picture that is not there"),
        ("lossy-alpha", riff([HEAD, ALPH, VP8L]), "VP8L"),
        ("lossy", riff([vp8x(48, 32, 0x10), VP8]), "VP8X"),
        ("lossy", riff([vp8x(48, 32, 0), VP8]), "VP8X"),
        ("lossy", riff([VP8], size=len(VP8) + 6), "an output that is not whole"),
        ("lossy", riff([VP8], size=len(VP8) + 2), "the length of a chunk"),
        ("lossy", riff([riff_chunk(b"VP8 ", VP8[8:15] + b"\x40" + VP8[16:])]), "the size of the picture"),
        ("lossy", riff([riff_chunk(b"VP8 ", b"\1" + VP8[9:])]), "VP8"),
        ("lossy", riff([riff_chunk(b"VP8 ", VP8[8:] + bytes(1_000_000))]), "more data than the picture can need"),
        ("lossy", riff([riff_chunk(b"VP8 ", VP8[8:] + b"c")])[:-1] + b"?", "padding that says something"),
        ("lossless", riff([riff_chunk(b"VP8L", VP8L[8:12] + bytes((VP8L[12] | 0x20,)) + VP8L[13:])]), "VP8L"),
        ("lossy", riff([riff_chunk(b"ICCP", icc.profile(Colour.ADOBE_RGB)), VP8]), "the first chunk"),
        ("lossy", riff([vp8x(48, 32, 0x20), riff_chunk(b"ICCP", b"?" * 99), VP8]), "a colour profile that is not ours"),
    ],
    ids=plain_id,
)
def test_webp(name: str, changed: bytes, rule: str) -> None:
    assert broken_rule(changed, sample(f"webp {name}")[1]) == rule


BOMB = photos.blocks(bytes(9000))


def seven_bits(image: bytes) -> bytes:
    return image[:10] + b"\7" + image[11:]


def gif(change: Change, name: str = "colour") -> str:
    data, facts = sample(f"gif {name}")
    return broken_rule(change(photos.gif_parts(data)), facts)


def patched(part: int, at: int, new: bytes) -> Change:
    def change(parts: list[bytes]) -> bytes:
        parts[part] = parts[part][:at] + new + parts[part][at + len(new) :]
        return b"".join(parts)

    return change


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        ("colour", patched(0, 4, b"7"), "the signature"),
        ("colour", patched(0, 6, bytes(2)), "the screen"),
        ("colour", patched(0, 6, b"\x31"), "the image"),
        ("colour", patched(0, 10, b"\x85"), "the screen"),
        ("colour", patched(0, 10, b"\xfd"), "the screen"),
        ("colour", patched(0, 11, b"\1"), "the screen"),
        ("colour", patched(0, 12, b"\1"), "the screen"),
        ("colour", patched(1, 1, b"\1"), "the image"),
        ("colour", patched(1, 9, b"\x20"), "the image"),
        ("colour", patched(1, 9, b"\x08"), "the image"),
        ("colour", patched(1, 10, b"\x0c"), "the image"),
        ("colour", patched(1, -1, b"\1"), "a short block before the last"),
        ("colour", patched(2, 0, b"\x2c"), "the trailer"),
        ("transparent", patched(1, 3, b"\5"), "the graphic control"),
        ("transparent", patched(1, 4, b"\1"), "the graphic control"),
        ("transparent", patched(1, 7, b"\1"), "the graphic control"),
        ("transparent", lambda p: patched(1, 6, b"\x80")([*p[:2], seven_bits(p[2]), p[3]]), "the graphic control"),
        ("transparent", lambda p: b"".join([p[0], p[1], p[1], *p[2:]]), "a block that may not be there"),
        ("colour", lambda p: photos.reblocked(b"".join(p), 254), "a short block before the last"),
        ("one-pixel", lambda p: p[0] + p[1][:11] + BOMB + p[2], "more data than the picture can need"),
        ("large", lambda p: p[0] + p[1][:11] + b"\1\0\0" + p[2], "a picture that is not all there"),
    ],
    ids=plain_id,
)
def test_gif(name: str, change: Change, rule: str) -> None:
    assert gif(change, name) == rule


def test_profiles_that_are_not_quite_ours() -> None:
    profile = icc.profile(Colour.DISPLAY_P3)
    named = profile[:200] + b"CNRY" + profile[204:]
    jpeg, facts = scrub(photos.with_segments(photos.jpeg(), [(0, segment(0xE2, b"ICC_PROFILE\0\1\1" + profile))]))
    assert broken_rule(jpeg, facts) == ""
    assert broken_rule(jpeg.replace(profile, named), facts) == "a colour profile that is not ours"
    assert broken_rule(jpeg.replace(b"PROFILE\0\1\1", b"PROFILE\0\1\2"), facts) == "APP2"
    png, facts = scrub(photos.with_chunks(photos.png(), [(0, chunk(b"iCCP", b"x\0\0" + zlib.compress(profile)))]))
    canonical = photos.png_parts(png)[2]
    for spelled, rule in (
        (b"ICC\0\0" + zlib.compress(profile, 0), "iCCP"),
        (b"ICC\0\0" + zlib.compress(profile, 9) + b"?", "iCCP"),
        (b"ICC\0\0" + zlib.compress(named, 9), "a colour profile that is not ours"),
        (b"ICC\0\0not zlib", "iCCP"),
        (b"CNY\0\0" + zlib.compress(profile, 9), "iCCP"),
    ):
        assert broken_rule(png.replace(canonical, chunk(b"iCCP", spelled)), facts) == rule
    grey, facts = sample("png grey")
    assert broken_rule(grey.replace(grey[33:], canonical + grey[33:]), facts) == "iCCP"


def test_an_empty_idat_is_one() -> None:
    data, facts = sample("png many-idats")
    assert broken_rule(data, facts) == ""
    only = photos.png_parts(sample("png rgb")[0])
    assert broken_rule(b"".join([*only[:2], chunk(b"IDAT", b""), only[-1]]), sample("png rgb")[1]) != ""


def test_a_length_of_four_gigabytes_holds_nothing_up() -> None:
    data, facts = sample("png rgb")
    assert broken_rule(data[:33] + struct.pack(">I", 2**31) + data[37:], facts) == "an output that is not whole"
