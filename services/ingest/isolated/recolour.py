"""The colour profile of a JPEG, PNG or WebP, and what its pixels need before and after it is applied.

Runs in the child, on a beginning that the scrubber has read before. What is raised, or no profile, means: not usable.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from PIL import Image

from services.ingest.report import Format

_MOST_BYTES: Final = 4 * 1024 * 1024  # of a profile; the largest for print have 2.7 million
_SPACE_OF = {
    **dict.fromkeys(("1", "L", "LA", "I;16", "I"), "GRAY"),
    **dict.fromkeys(("P", "PA", "RGB", "RGBA"), "RGB "),
    "CMYK": "CMYK",
}
# What a viewer does to the stored pixels (EXIF 2.32, tag 0x0112).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def profile(format: Format, head: bytes) -> bytes:
    """Empty when there is none, or not all of it."""
    found = {Format.JPEG: _jpeg, Format.PNG: _png, Format.WEBP: _webp}[format](head)
    whole = len(found) >= 128 and found[36:40] == b"acsp" and int.from_bytes(found[:4]) <= len(found) <= _MOST_BYTES
    return found if whole else b""


def space(profile: bytes) -> str:
    """The kind of pixels that a profile is for, in ICC's words (ICC.1:2022, table 19)."""
    return profile[16:20].decode("latin-1")


def space_of(mode: str) -> str | None:
    """The same of a picture, by Pillow's mode."""
    return _SPACE_OF.get(mode)


def eight_bits(image: Image.Image) -> Image.Image:
    """A copy, without the decoder. A PNG's 16-bit grey is scaled, where Pillow's own conversion clips."""
    if image.mode in ("I;16", "I"):
        return image.convert("F").point(lambda value: value * (255 / 65535)).convert("L")
    return image.copy()


def upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _jpeg(head: bytes) -> bytes:
    """In parts, numbered from 1, of a stated count (ICC.1:2022, annex B.4)."""
    parts: dict[int, bytes] = {}
    count, at = 0, 2
    while at + 4 <= len(head) and head[at + 1] != 0xDA:
        marker = head[at + 1]
        if marker in (0xFF, 0x01):  # a fill byte; TEM, which has no length
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(head[at + 2 : at + 4])
        if marker == 0xE2 and head[at + 4 : at + 16] == b"ICC_PROFILE\0" and end >= at + 18:
            count = count or head[at + 17]
            parts.setdefault(head[at + 16], head[at + 18 : end])
        at = end
    return b"".join(parts[number] for number in range(1, count + 1))


def _png(head: bytes) -> bytes:
    at = 8
    while at + 8 <= len(head):
        size, kind = struct.unpack_from(">I4s", head, at)
        if kind == b"iCCP":
            packed = head[at + 8 : at + 8 + size].partition(b"\0")[2]
            unpacker = zlib.decompressobj()
            found = unpacker.decompress(packed[1:], _MOST_BYTES)
            return found if unpacker.eof else b""
        at += 12 + size
    return b""


def _webp(head: bytes) -> bytes:
    at = 12
    while at + 8 <= len(head):
        kind, size = struct.unpack_from("<4sI", head, at)
        if kind == b"ICCP":
            return head[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return b""
