"""A scrubber that leaks is caught: whatever is put into its output, wherever, and whatever is taken out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.ingest.report import Colour, Facts, Format
from tests import photos
from tests.unit.services.ingest.verify.verifying import broken_rule, caught, sample, samples

PLANTED: dict[str, tuple[dict[str, bytes], Callable[[bytes], list[bytes]]]] = {
    "jpeg": (
        photos.jpeg_metadata()
        | {
            "restart": b"\xff\xd0",
            "picture": photos.jpeg(8, 8),
            "empty scan": photos.segment(0xDA, b""),
            "restart interval": photos.segment(0xDD, b"\0\0"),
        },
        photos.jpeg_parts,
    ),
    "png": (
        photos.png_metadata()
        | photos.png_colour()
        | {
            "header again": photos.png_parts(photos.png())[1],
            "palette": photos.chunk(b"PLTE", bytes(3)),
            "end": photos.chunk(b"IEND", b""),
            "lower-case IDAT": photos.chunk(b"iDAT", photos.CANARY),
        },
        photos.png_parts,
    ),
    "webp": (
        photos.webp_metadata()
        | {
            "animation": photos.riff_chunk(b"ANIM", bytes(6)),
            "picture": photos.webp(8, 8)[12:],
            "profile": photos.riff_chunk(b"ICCP", photos.CANARY),
            "header": photos.vp8x(48, 32, 0x10),
        },
        lambda data: [data[:12], *photos.riff_parts(data)],
    ),
    "gif": (
        photos.gif_metadata() | {"picture": photos.gif_parts(photos.gifs()["own-table"])[-2]},
        photos.gif_parts,
    ),
}
ANYWHERE = [b"\0", b"\xff", photos.CANARY, b"PK\5\6" + bytes(18)]


def insertions(kind: str, data: bytes) -> list[tuple[str, bytes]]:
    """The output with one more part at each boundary; in a WebP also with a RIFF size that counts it."""
    contents, split = PLANTED[kind]
    named = [*contents.items(), *((repr(each), each) for each in ANYWHERE)]
    parts, made = split(data), []
    for place in range(1, len(parts) + 1):
        for name, content in named:
            if unprovable(kind, parts[place - 1], content):
                continue
            loud = b"".join([*parts[:place], content, *parts[place:]])
            made.append((f"{name} at {place}", loud))
            if kind == "webp":
                made.append((f"{name} at {place}, counted", photos.riff([*parts[1:place], content, *parts[place:]])))
    return made


def is_scan(part: bytes) -> bool:
    return part[:2] == b"\xff\xda"


def unprovable(kind: str, before: bytes, content: bytes) -> bool:
    """After a scan's last block, bytes look like the scan's: only a decoder could tell. Their number is bounded."""
    return kind == "jpeg" and is_scan(before) and (content[0] != 0xFF or content == b"\xff\xd0")


@pytest.mark.parametrize("name", sorted(samples()))
def test_a_part_too_many_is_caught_at_every_boundary(name: str) -> None:
    data, facts = sample(name)
    assert [what for what, loud in insertions(name.partition(" ")[0], data) if not caught(loud, facts)] == []


MAY_BE_MISSING = (b"IDAT", b"sRGB", b"tRNS")  # without a trace in the structure
MAY_BE_MISSING_IN_JPEG = (b"\xff\xee", b"\xff\xc4", b"\xff\xda")  # a table may serve again, a scan only refines


@pytest.mark.parametrize("name", sorted(samples()))
def test_a_part_too_few_or_twice_is_caught(name: str) -> None:
    data, facts = sample(name)
    parts = PLANTED[name.partition(" ")[0]][1](data)
    for at, part in enumerate(parts):
        rest, twice = b"".join(parts[:at] + parts[at + 1 :]), b"".join([*parts[: at + 1], *parts[at:]])
        if part[4:8] not in MAY_BE_MISSING and part[:2] not in MAY_BE_MISSING_IN_JPEG:
            assert caught(rest, facts), part[:8]
        if part[4:8] != b"IDAT":
            assert caught(twice, facts), part[:8]


@pytest.mark.parametrize("name", sorted(samples()))
def test_an_output_that_is_not_whole_is_caught(name: str) -> None:
    data, facts = sample(name)
    for end in {
        *range(min(len(data), 300)),
        *range(0, len(data), 1 + len(data) // 100),
        *range(len(data) - 40, len(data)),
    }:
        assert caught(data[: max(0, end)], facts), end


@pytest.mark.parametrize("name", sorted(samples()))
def test_bytes_after_the_end_are_caught(name: str) -> None:
    data, facts = sample(name)
    for more in (b"\0", b"\xff\xd9", b"\xff\xfe\0\2", photos.CANARY, data):
        assert broken_rule(data + more, facts) == "bytes after the end"


@pytest.mark.parametrize("name", sorted(samples()))
def test_facts_of_another_picture_are_caught(name: str) -> None:
    data, facts = sample(name)
    other = next(each for each in Format if each is not facts.format)
    lies: list[tuple[str, Facts]] = [
        ("the format announced", replace(facts, format=other)),
        ("the size announced", replace(facts, width=facts.width + 1)),
        ("the size announced", replace(facts, height=facts.height + 1)),
        ("the transparency announced", replace(facts, has_alpha=not facts.has_alpha)),
        ("the orientation announced", replace(facts, orientation=9)),
        ("the colour announced", replace(facts, colour=Colour.DISPLAY_P3)),
    ]
    for rule, lie in lies:
        assert broken_rule(data, lie) == rule
