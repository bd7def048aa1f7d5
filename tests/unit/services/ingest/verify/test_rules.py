"""Rules that no small change of a real output breaks: files made to break just one of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.ingest.report import Colour, Facts
from services.ingest.scrub import icc
from tests import photos
from tests.photos import chunk, riff, riff_chunk, segment
from tests.unit.services.ingest.scrubbing import plain_id, scrub
from tests.unit.services.ingest.verify.verifying import broken_rule, sample

SOF, DHT, SOS, DQT, EOI = 0xC0, 0xC4, 0xDA, 0xDB, b"\xff\xd9"
Parts = list[bytes]


def jpeg(name: str, change: Callable[[Parts], Parts]) -> str:
    data, facts = sample(f"jpeg {name}")
    return broken_rule(b"".join(change(photos.jpeg_parts(data))), facts)


def payload(marker: int, change: Callable[[bytes], bytes], nth: int = 0) -> Callable[[Parts], Parts]:
    """Changes the payload of the n-th such segment."""

    def changed(parts: Parts) -> Parts:
        at = [i for i, part in enumerate(parts) if part[1] == marker][nth]
        size = int.from_bytes(parts[at][2:4]) + 2
        parts[at] = segment(marker, change(parts[at][4:size])) + parts[at][size:]
        return parts

    return changed


def all_sampled_four_times(frame: bytes) -> bytes:
    return frame[:6] + b"".join(frame[at : at + 1] + b"\x44" + frame[at + 2 : at + 3] for at in (6, 9, 12))


def one_component_only(parts: Parts) -> Parts:
    """A first scan of Y alone, and then no other."""
    kept = [part for part in parts if not (part[1] == DHT and part[4] & 1)]
    return payload(SOS, lambda p: b"\1" + p[1:3] + p[-3:])(kept)


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        ("baseline", lambda parts: [b"\xff\xd7", *parts[1:]], "the signature"),
        ("baseline", lambda parts: [parts[0], b"\xfe" + parts[1][1:], *parts[2:]], "bytes between segments"),
        ("baseline", lambda parts: [part for part in parts if part[1] not in (DHT, SOS)], "the end"),
        ("baseline", lambda parts: [*parts[:-1], segment(DHT, bytes(17)), EOI], "the end"),
        ("baseline", one_component_only, "a component that was never sent"),
        ("baseline", payload(SOF, lambda p: p[:3]), "the frame"),
        ("baseline", payload(SOF, lambda p: p[:5] + b"\2" + p[6:12]), "the frame"),
        ("baseline", payload(SOF, lambda p: p[:3] + bytes(2) + p[5:]), "the frame"),
        ("baseline", payload(SOF, all_sampled_four_times), "the sampling factors"),
        ("baseline", payload(SOS, lambda p: b"\0" + p[-3:]), "the scan header"),
        ("baseline", payload(SOS, lambda p: p[:3] + p[1:3] + p[5:]), "the components of a scan"),
        ("baseline", payload(DQT, lambda p: b"\x20" + p[1:] * 3), "a quantization table"),
        ("baseline", payload(DHT, lambda _: bytes(16)), "a Huffman table"),
        ("baseline", payload(DHT, lambda p: b"\x04" + p[1:]), "a Huffman table"),
        ("baseline", payload(DHT, lambda p: p + b"\0"), "a Huffman table"),
        ("grey-progressive", payload(SOS, lambda p: p[:-1] + b"\x0e"), "the precision of a scan"),
        ("grey-progressive", lambda p: [*p[:3], *p[5:7], *p[3:5], *p[7:]], "the order of scans"),
        ("grey-progressive", payload(SOS, lambda p: p[:2] + b"\x10" + p[3:], nth=1), "a table selector"),
    ],
    ids=plain_id,
)
def test_jpeg(name: str, change: Callable[[Parts], Parts], rule: str) -> None:
    assert jpeg(name, change) == rule


def test_a_profile_of_colours_on_a_grey_picture() -> None:
    ours = segment(0xE2, b"ICC_PROFILE\0\1\1" + icc.profile(Colour.DISPLAY_P3))
    for name in ("grey", "cmyk"):
        assert jpeg(name, lambda parts: [parts[0], ours, *parts[1:]]) == "a colour profile that does not fit"


def arithmetic(*conditioning: bytes) -> tuple[bytes, Facts]:
    """No encoder at hand writes these; a scrub looks no deeper than their structure, and neither does the verifier."""
    parts = [part for part in photos.jpeg_parts(photos.jpegs()["baseline"]) if part[1] != DHT]
    at = next(i for i, part in enumerate(parts) if part[1] == SOF)
    parts[at] = b"\xff\xc9" + parts[at][2:]
    return scrub(b"".join([*parts[: at + 1], *(segment(0xCC, each) for each in conditioning), *parts[at + 1 :]]))


def test_arithmetic_coding_is_agreed_with() -> None:
    assert broken_rule(*arithmetic()) == ""
    assert broken_rule(*arithmetic(b"\0\x21", b"\x10\x07")) == ""


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (b"\0\x12", "a conditioning table"),  # low above high
        (b"\0\x21\0", "a conditioning table"),
        (b"\4\x21", "a conditioning table"),
        (b"\x10\0", "a conditioning table"),
        (b"\x10\x40", "a conditioning table"),
        (b"\3\x21", "a table that nothing reads"),
        (b"\0\x10", "a table that the decoder has already"),
    ],
)
def test_arithmetic_conditioning(entry: bytes, rule: str) -> None:
    data, facts = arithmetic()
    assert broken_rule(data.replace(b"\xff\xda", segment(0xCC, entry) + b"\xff\xda", 1), facts) == rule


def png(name: str, kind: bytes, change: Callable[[bytes], bytes]) -> str:
    data, facts = sample(f"png {name}")
    parts = [chunk(kind, change(part[8:-4])) if part[4:8] == kind else part for part in photos.png_parts(data)]
    return broken_rule(b"".join(parts), facts)


@pytest.mark.parametrize("head", [b"\x78\x02", b"\x88\x1c", b"\x77\x09", b"\x78\x20"])
def test_png_zlib_headers(head: bytes) -> None:
    """A wrong check, too large a window, another method, a preset dictionary."""
    assert png("rgb", b"IDAT", lambda data: head + data[2:]) == "the compressed picture"


def test_png_of_one_byte() -> None:
    assert png("one-pixel", b"IDAT", lambda data: data[:1]) == "the compressed picture"


def test_png_without_height_or_signature() -> None:
    assert png("rgb", b"IHDR", lambda data: data[:4] + bytes(4) + data[8:]) == "the header"
    data, facts = sample("png rgb")
    assert broken_rule(data[:4] + b"\n" + data[5:], facts) == "the signature"
    assert broken_rule(data[:8] + data[33:], facts) == "the order of chunks"


def test_webp_containers() -> None:
    data, facts = sample("webp lossy")
    part = photos.riff_parts(data)[0]
    assert broken_rule(b"RIFX" + data[4:], facts) == "the signature"
    assert broken_rule(data[:8] + b"WEBQ" + data[12:], facts) == "the signature"
    assert broken_rule(riff([part], size=len(part) + 5), facts) == "the size of the container"
    assert broken_rule(riff([part], size=4), facts) == "the size of the container"
    assert broken_rule(riff([riff_chunk(b"VP8 ", part[8:12])]) + bytes(16), facts) != ""
    method = riff_chunk(b"ALPH", b"\2" + bytes(50))
    head, _, beside = photos.riff_parts(sample("webp lossy-alpha")[0])
    assert broken_rule(riff([head, method, beside]), sample("webp lossy-alpha")[1]) == "ALPH"


def webp(change: Callable[[bytes], bytes], kind: bytes = b"VP8 ", name: str = "lossy") -> str:
    """With the payload of this chunk changed, and RIFF told."""
    data, facts = sample(f"webp {name}")
    payloads = ((part[:4], part[8 : 8 + int.from_bytes(part[4:8], "little")]) for part in photos.riff_parts(data))
    made = [riff_chunk(each, change(payload) if each == kind else payload) for each, payload in payloads]
    return broken_rule(riff(made), facts)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda p: bytes((p[0] | 1,)) + p[1:], "VP8"),  # no key frame
        (lambda p: bytes((p[0] | 8,)) + p[1:], "VP8"),  # version 4
        (lambda p: bytes((p[0] & 0xEF,)) + p[1:], "VP8"),  # not shown
        (lambda p: p[:3] + b"\x9d\x01\x2b" + p[6:], "VP8"),
        (lambda p: p[:2] + b"\xff" + p[3:], "VP8"),  # a partition beyond the chunk
        (lambda p: p[:6] + bytes(2) + p[8:], "the size of the picture"),
        (lambda p: p[:8] + bytes(2) + p[10:], "the size of the picture"),
        (lambda p: p[:8] + b"\x20\x40" + p[10:], "the size of the picture"),  # scaled
    ],
)
def test_webp_lossy_headers(change: Callable[[bytes], bytes], rule: str) -> None:
    assert webp(change) == rule


def test_webp_lossless_headers() -> None:
    assert webp(lambda p: b"\x2e" + p[1:], b"VP8L", "lossless") == "VP8L"
    assert webp(lambda p: p[:4], b"VP8L", "lossless") != ""


def test_webp_header_without_need() -> None:
    data, facts = sample("webp lossless-alpha")
    assert broken_rule(riff([photos.vp8x(48, 32, 0x10), *photos.riff_parts(data)]), facts) == "VP8X"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda p: bytes((p[0] | 0x20,)) + p[1:], "ALPH"),  # preprocessing that isn't defined
        (lambda p: bytes((p[0] & 0xFC,)) + p[1:], "ALPH"),  # raw, of another size
        (lambda p: p + bytes(200_000), "more data than the picture can need"),
    ],
)
def test_webp_alpha(change: Callable[[bytes], bytes], rule: str) -> None:
    assert webp(change, b"ALPH", "lossy-alpha") == rule


def test_webp_chunks_shorter_than_their_headers() -> None:
    _, facts = sample("webp lossy")
    short = photos.riff_parts(sample("webp lossy")[0])[0][8:12]
    assert broken_rule(riff([riff_chunk(b"VP8 ", short)], size=26) + bytes(6), facts) != ""


def test_gif_without_height() -> None:
    data, facts = sample("gif colour")
    assert broken_rule(data[:8] + bytes(2) + data[10:], facts) == "the screen"
