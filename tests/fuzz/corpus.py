"""What is mutated: small files of every coding, with and without metadata in every place; and words of each format."""

from __future__ import annotations

import struct
from functools import cache

from tests import photos

FORMATS = ("gif", "jpeg", "png", "webp")
_LARGEST = 6_000  # bytes of a seed: a run is about structure, which large files have no more of


@cache
def seeds(format: str) -> tuple[bytes, ...]:
    """In a fixed order, so that a seeded run can be repeated."""
    made = {"jpeg": _jpegs, "png": _pngs, "webp": _webps, "gif": _gifs}[format]()
    return tuple(data for data in made if len(data) <= _LARGEST)


def parts(data: bytes) -> list[bytes]:
    """Segments, chunks or blocks of a seed; b"".join gives the file back, but for a JPEG's trailer."""
    if data[:1] == b"\xff":
        return photos.jpeg_parts(data)
    if data[:1] == b"\x89":
        return photos.png_parts(data)
    if data[:1] == b"R":
        return [data[:12], *photos.riff_parts(data)]
    return photos.gif_parts(data)


WORDS: dict[str, tuple[bytes, ...]] = {
    "jpeg": (
        *(bytes((0xFF, code)) for code in range(0xC0, 0x100)),
        *photos.jpeg_metadata().values(),
        b"\xff\x00",
        b"\xff\xff\xff",
        b"Exif\0\0",
        b"Adobe",
        b"ICC_PROFILE\0\1\1",
        b"JFIF\0",
    ),
    "png": (
        *photos.png_metadata().values(),
        *photos.png_colour().values(),
        *(photos.chunk(kind, b"") for kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"fdAT", b"CgBI")),
        photos.chunk(b"tRNS", b"\0\1"),
        photos.chunk(b"PLTE", bytes(range(12))),
        b"\x89PNG\r\n\x1a\n",
    ),
    "webp": (
        *photos.webp_metadata().values(),
        photos.vp8x(48, 32),
        photos.vp8x(48, 32, 0x10),
        photos.vp8x(48, 32, 0x12),
        photos.riff_chunk(b"ANIM", bytes(6)),
        photos.riff_chunk(b"ALPH", b"\0" + bytes(48 * 32)),
        photos.riff_chunk(b"ANMF", bytes(16)),
        b"RIFF",
        b"VP8 ",
        b"VP8L",
        b"\x9d\x01\x2a",
    ),
    "gif": (
        *photos.gif_metadata().values(),
        photos.XMP_TRAILER,
        b"\x3b",
        b"\x2c" + struct.pack("<HHHHB", 0, 0, 48, 32, 0),
        b"\x2c" + struct.pack("<HHHHB", 0, 0, 48, 32, 0x81) + bytes(12),
        b"\x21\xf9\x04\x01\0\0\3\0",
        b"\0",
        b"GIF87a",
    ),
}


def _jpegs() -> list[bytes]:
    bare, kinds = photos.jpegs(), list(photos.jpeg_metadata().items())
    small = [kind for name, kind in kinds if name not in ("largest", "fill")]
    planted = [
        photos.with_segments(data, [(at + turn, kind) for at, kind in enumerate(small[turn::4])])
        for turn, data in enumerate(bare.values())
    ]
    return [*bare.values(), *planted, photos.phone_jpeg()]


def _pngs() -> list[bytes]:
    kinds = [*photos.png_colour().values(), *photos.png_metadata().values()]
    return [
        *photos.pngs().values(),
        *(photos.with_chunks(each, list(enumerate(kinds))) for each in photos.pngs().values()),
    ]


def _webps() -> list[bytes]:
    bare, kinds = list(photos.webps().values()), list(enumerate(photos.webp_metadata().values()))
    return [*bare, *(photos.with_riff_chunks(each, kinds) for each in bare)]


def _gifs() -> list[bytes]:
    bare, kinds = list(photos.gifs().values()), list(enumerate(photos.gif_metadata().values()))
    return [*bare, *(photos.with_blocks(each, kinds) for each in bare)]
