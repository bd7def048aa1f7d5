"""Makers of sample photos: pictures in every supported coding, and metadata planted into every place of them.

Everything is made, nothing is shipped: so each test sees what it planted, and no real photo lies in the repository.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from PIL import Image

from clients.demo import plant

CANARY = b"CANARY-4b1d-be-gone"
AI_MARK = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def planted_jpeg(base: bytes) -> tuple[bytes, dict[str, bytes]]:
    """``base`` with GPS, a camera serial, XMP, IPTC, a comment and a thumbnail planted, and the canaries by name."""
    return plant.plant(base)


@cache
def picture(width: int = 48, height: int = 32, mode: str = "RGB") -> Image.Image:
    """A gradient with some noise, so that every coefficient and every filter has something to do."""
    noise = Image.effect_noise((width, height), 60)
    ramp = Image.linear_gradient("L").resize((width, height))
    rgb = Image.merge("RGB", (noise, ramp, ramp.rotate(180)))
    if mode in ("RGBA", "LA"):
        image = rgb.convert(mode)
        image.putalpha(ramp)
        return image
    return ramp.convert("I").point(lambda v: v * 257).convert("I;16") if mode == "I;16" else rgb.convert(mode)


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def jpeg(width: int = 48, height: int = 32, mode: str = "RGB", **options: Any) -> bytes:
    return encode(picture(width, height, mode), "JPEG", **options)


def png(width: int = 48, height: int = 32, mode: str = "RGB", **options: Any) -> bytes:
    return encode(picture(width, height, mode), "PNG", **options)


def webp(width: int = 48, height: int = 32, mode: str = "RGB", **options: Any) -> bytes:
    return encode(picture(width, height, mode), "WEBP", **options)


@cache
def jpegs() -> dict[str, bytes]:
    """One of each coding that Pillow can write."""
    return {
        "baseline": jpeg(),
        "subsampled": jpeg(subsampling="4:2:0", quality=40),
        "full-chroma": jpeg(subsampling="4:4:4", quality=97),
        "optimized": jpeg(optimize=True),
        "progressive": jpeg(progressive=True),
        "grey": jpeg(mode="L"),
        "grey-progressive": jpeg(mode="L", progressive=True),
        "cmyk": jpeg(mode="CMYK"),
        "rgb-coded": jpeg(keep_rgb=True),
        "restarts": jpeg(restart_marker_blocks=1),
        "odd-size": jpeg(37, 23),
        "one-pixel": jpeg(1, 1),
    }


@cache
def pngs() -> dict[str, bytes]:
    palette = picture().convert("P")
    return {
        "rgb": png(),
        "rgba": png(mode="RGBA"),
        "grey": png(mode="L"),
        "grey-alpha": png(mode="LA"),
        "bilevel": png(mode="1"),
        "16-bit": png(mode="I;16"),
        "palette": encode(palette, "PNG"),
        "palette-transparent": encode(palette, "PNG", transparency=bytes(range(0, 200, 5))),
        "key-colour": png(transparency=(1, 2, 3)),
        "key-grey": png(mode="L", transparency=7),
        "many-idats": resplit(png(), 100),
        "interlaced": interlaced(),
        "one-pixel": png(1, 1),
    }


@cache
def webps() -> dict[str, bytes]:
    return {
        "lossy": webp(),
        "lossless": webp(lossless=True),
        "lossy-alpha": webp(mode="RGBA"),
        "lossless-alpha": webp(mode="RGBA", lossless=True),
        "odd-size": webp(37, 23, quality=31),
        "one-pixel": webp(1, 1),
    }


@cache
def gifs() -> dict[str, bytes]:
    palette = picture().quantize(64)
    return {
        "colour": encode(palette, "GIF"),
        "grey": encode(picture(mode="L"), "GIF"),
        "bilevel": encode(picture(mode="1"), "GIF"),
        "transparent": encode(palette, "GIF", transparency=3),
        "interlaced": encode(palette, "GIF", interlace=1),
        "large": encode(picture(300, 200).quantize(256), "GIF"),
        "odd-size": encode(picture(37, 23).quantize(8), "GIF"),
        "one-pixel": encode(picture(1, 1).quantize(2), "GIF"),
        "own-table": local_table(encode(palette, "GIF")),
        "two-tables": local_table(encode(palette, "GIF"), keep=True),
    }


def decoded(data: bytes) -> tuple[tuple[int, int], bytes]:
    """Size and pixels, in a mode that hides how the file says them but not what it shows."""
    with Image.open(io.BytesIO(data)) as image:
        plain = image.mode in ("CMYK", "I;16", "L", "RGB") and "transparency" not in image.info
        keep = plain and image.format not in ("WEBP", "GIF")
        return image.size, (image if keep else image.convert("RGBA")).tobytes()


def chunked(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


# EXIF


def exif(orientation: int = 1, *, canary: bytes = CANARY, big_endian: bool = False) -> bytes:
    """A TIFF block with a description and an orientation. ``plant.exif`` makes the rich one."""
    order, head = (">", b"MM\0*") if big_endian else ("<", b"II*\0")
    entries = struct.pack(order + "HHII", 0x010E, 2, len(canary), 38)
    entries += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(order + "IH", 8, 2) + entries + bytes(4) + canary


# JPEG


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


@cache
def jpeg_metadata() -> dict[str, bytes]:
    """Segments with a canary inside, one of each kind that phones and editors write."""
    extended = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 100, 0)
    return {
        "exif": segment(0xE1, b"Exif\0\0" + exif()),
        "rich exif": segment(0xE1, b"Exif\0\0" + plant.exif() + CANARY),
        "broken exif": segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff" + CANARY),
        "xmp": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + CANARY),
        "extended xmp": segment(0xE1, extended + CANARY),
        "jfif": segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\1\1abc" + CANARY),
        "jfxx": segment(0xE0, b"JFXX\0\x10" + CANARY),
        "unknown icc": segment(0xE2, b"ICC_PROFILE\0\1\1" + CANARY),
        "mpf": segment(0xE2, b"MPF\0II*\0" + CANARY),
        "flashpix": segment(0xE2, b"FPXR\0" + CANARY),
        "c2pa": segment(0xEB, b"JP\0\1\0\0\0\1" + struct.pack(">I4s", 64, b"jumb") + CANARY),
        "iptc": segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x13" + CANARY),
        "ducky": segment(0xEC, b"Ducky" + CANARY),
        "empty": segment(0xE5, b""),
        "bare exif": segment(0xE1, b"Exif\0"),
        "short adobe": segment(0xEE, b"Adobe"),
        "comment": segment(0xFE, CANARY),
        "largest": segment(0xE9, (CANARY * 4000)[:65533]),
        "unused table": segment(0xDB, b"\x03" + (CANARY * 4)[:64]),
        "fill": b"\xff" * 5 + segment(0xFE, CANARY),
        "dnl": segment(0xDC, b"\0\1"),
    }


def jpeg_parts(data: bytes) -> list[bytes]:
    """SOI, each segment (a scan with its data), EOI; b"".join gives the file back."""
    parts, at = [data[:2]], 2
    while data[at + 1] != 0xD9:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if data[at + 1] == 0xDA:
            while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end += 1
        parts.append(data[at:end])
        at = end
    return [*parts, data[at : at + 2]]


def with_segments(data: bytes, planted: Iterable[tuple[int, bytes]]) -> bytes:
    """Plant each segment before part ``index`` (wrapped into where segments may stand)."""
    parts = jpeg_parts(data)
    for index, content in planted:
        parts.insert(1 + index % (len(parts) - 1), content)
    return b"".join(parts)


def motion_photo() -> bytes:
    """What follows the picture in phones' files: a second picture (MPF), a video, maker's trailers."""
    video = struct.pack(">I4s4s", 24, b"ftyp", b"mp42") + b"isommp42" + CANARY
    return jpeg(16, 16, comment=CANARY) + video + b"SEFT" + CANARY


def phone_jpeg(orientation: int = 6, **options: Any) -> bytes:
    """A photo as phones write them: everything at once, trailer included."""
    planted, _ = plant.plant(jpeg(96, 64, **options), orientation=orientation)
    kinds = jpeg_metadata()
    extra = b"".join(kinds[name] for name in ("extended xmp", "mpf", "c2pa", "jfxx", "flashpix", "ducky", "comment"))
    return with_segments(planted, [(5, extra)]) + motion_photo()


# PNG


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@cache
def png_metadata() -> dict[str, bytes]:
    packed = zlib.compress(CANARY * 1000)
    return {
        "exif": chunk(b"eXIf", exif()),
        "text": chunk(b"tEXt", b"Comment\0" + CANARY),
        "packed text": chunk(b"zTXt", b"Raw profile type exif\0\0" + packed),
        "broken text": chunk(b"zTXt", b"Comment\0\0not zlib" + CANARY),
        "xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta>" + CANARY),
        "time": chunk(b"tIME", b"\x07\xe9\1\2\3\4\5"),
        "density": chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
        "background": chunk(b"bKGD", b"\0\1\0\2\0\3"),
        "histogram": chunk(b"sPLT", b"name\0\x08" + CANARY),
        "c2pa": chunk(b"caBX", CANARY),
        "private": chunk(b"prIv", CANARY * 50),
        "bad checksum": chunk(b"tEXt", b"Comment\0" + CANARY)[:-1] + b"?",
        "animation": chunk(b"acTL", struct.pack(">II", 1, 0)),
    }


@cache
def png_colour() -> dict[str, bytes]:
    """Chunks that must come before PLTE and IDAT to mean anything."""
    return {
        "unknown icc": chunk(b"iCCP", b"A Name\0\0" + zlib.compress(CANARY * 10)),
        "srgb": chunk(b"sRGB", b"\3"),
        "gamma": chunk(b"gAMA", struct.pack(">I", 45455)),
        "odd gamma": chunk(b"gAMA", struct.pack(">I", 123456)),
        "cicp": chunk(b"cICP", b"\x0c\x0d\0\1"),
    }


def png_parts(data: bytes) -> list[bytes]:
    """Signature, then each chunk."""
    parts, at = [data[:8]], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        parts.append(data[at:end])
        at = end
    return parts


def is_idat(part: bytes) -> bool:
    return part[4:8] == b"IDAT"


def with_chunks(data: bytes, planted: Iterable[tuple[int, bytes]]) -> bytes:
    """Plant each chunk after IHDR, wrapped into the places that don't split the IDATs."""
    parts = png_parts(data)
    for index, content in planted:
        places = [i for i in range(2, len(parts)) if not (is_idat(parts[i]) and is_idat(parts[i - 1]))]
        parts.insert(places[index % len(places)], content)
    return b"".join(parts)


def resplit(data: bytes, size: int) -> bytes:
    """The same PNG with IDATs of ``size`` bytes, an empty one first."""
    parts = png_parts(data)
    stream = b"".join(part[8:-4] for part in parts if is_idat(part))
    idats = [chunk(b"IDAT", b"")] + [chunk(b"IDAT", piece) for piece in chunked(stream, size)]
    first = next(i for i, part in enumerate(parts) if is_idat(part))
    rest = [part for part in parts if not is_idat(part)]
    return b"".join(rest[:first] + idats + rest[first:])


def raw_png(width: int, height: int, depth: int, colour: int, rows: bytes, *, interlace: int = 0) -> bytes:
    """A PNG of filtered rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def interlaced() -> bytes:
    """Adam7, 8 × 8 grey: passes of 1, 1, 2, 4, 8, 16 and 32 pixels."""
    shape = ((1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4))
    rows = b"".join((b"\0" + bytes(range(40, 40 + wide))) * high for wide, high in shape)
    return raw_png(8, 8, 8, 0, rows, interlace=1)


# WebP


def riff(chunks: Sequence[bytes], *, size: int | None = None) -> bytes:
    body = b"".join(chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body) if size is None else size) + b"WEBP" + body


def riff_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def riff_parts(data: bytes) -> list[bytes]:
    """The container's chunks."""
    parts, at = [], 12
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        parts.append(data[at:end])
        at = end
    return parts


def vp8x(width: int, height: int, flags: int = 0) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff_chunk(b"VP8X", bytes((flags, 0, 0, 0)) + size)


@cache
def webp_metadata() -> dict[str, bytes]:
    return {
        "exif": riff_chunk(b"EXIF", exif()),
        "prefixed exif": riff_chunk(b"EXIF", b"Exif\0\0" + exif()),
        "xmp": riff_chunk(b"XMP ", b"<x:xmpmeta>" + CANARY),
        "c2pa": riff_chunk(b"C2PA", CANARY),
        "unknown": riff_chunk(b"zzzz", CANARY * 9),
        "empty": riff_chunk(b"none", b""),
    }


def with_riff_chunks(data: bytes, planted: Iterable[tuple[int, bytes]]) -> bytes:
    """Plant each chunk after VP8X, which is added where it was missing."""
    parts = riff_parts(data)
    if parts[0][:4] != b"VP8X":
        with Image.open(io.BytesIO(data)) as image:
            parts.insert(0, vp8x(*image.size, flags=0x10 if image.mode == "RGBA" else 0))
    for index, content in planted:
        parts.insert(1 + index % len(parts), content)
    return riff(parts)


# GIF


def blocks(data: bytes, size: int = 255) -> bytes:
    """Data sub-blocks of ``size`` bytes, and their end."""
    return b"".join(bytes((len(piece),)) + piece for piece in chunked(data, size)) + b"\0"


def extension(label: int, data: bytes, *, size: int = 255) -> bytes:
    return bytes((0x21, label)) + blocks(data, size)


def application(name: bytes, data: bytes) -> bytes:
    return bytes((0x21, 0xFF, len(name))) + name + blocks(data)


XMP_TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"
"""Ends the sub-blocks of a GIF's XMP, whichever of its bytes served as the last length (XMP part 3, 1.1.2)."""


@cache
def gif_metadata() -> dict[str, bytes]:
    return {
        "comment": extension(0xFE, CANARY),
        "short blocks": extension(0xFE, CANARY, size=1),
        "plain text": extension(1, bytes(12) + CANARY),
        "loop": application(b"NETSCAPE2.0", b"\1\0\0"),
        "xmp": b"\x21\xff\x0bXMP DataXMP<x:xmpmeta>" + CANARY * 9 + XMP_TRAILER,
        "unknown icc": application(b"ICCRGBG1012", CANARY * 20),
        "c2pa": application(b"C2PA_GIF\1\0\0", CANARY),
        "private": application(b"CANARY-1234", CANARY * 50),
        "unknown": extension(0x99, CANARY * 30),
        "empty": b"\x21\xfe\0",
        "control": extension(0xF9, b"\x04\x99\x88\x77"),
    }


def gif_parts(data: bytes) -> list[bytes]:
    """Screen and table, each extension, each image, trailer."""
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    parts = [data[:at]]
    while data[at] != 0x3B:
        end = at + 2
        if data[at] == 0x2C:
            end = at + 11 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
        while data[end]:
            end += 1 + data[end]
        parts.append(data[at : end + 1])
        at = end + 1
    return [*parts, data[at:]]


def with_blocks(data: bytes, planted: Iterable[tuple[int, bytes]]) -> bytes:
    """Plant each block after the screen (wrapped), but a graphic control never before the picture."""
    parts = gif_parts(data)
    for index, content in planted:
        late = next(i for i, part in enumerate(parts) if part[0] == 0x2C) + 1
        places = range(late if content[1] in (1, 0xF9) else 1, len(parts))
        parts.insert(places[index % len(places)], content)
    return b"".join(parts)


def reblocked(data: bytes, size: int) -> bytes:
    """The same GIF with picture data in sub-blocks of ``size`` bytes."""
    return b"".join(
        part[:11] + blocks(picture_data(part), size) if part[0] == 0x2C else part for part in gif_parts(data)
    )


def picture_data(image: bytes) -> bytes:
    """The data of an image block without a table of its own."""
    data, at = b"", 11
    while image[at]:
        data += image[at + 1 : at + 1 + image[at]]
        at += 1 + image[at]
    return data


def local_table(data: bytes, *, keep: bool = False) -> bytes:
    """The global table moved to the picture; in its place nothing, or (``keep``) another that nothing uses."""
    head, *rest = gif_parts(data)
    packed, table = head[10], head[13:]
    other = (CANARY * 41)[: len(table)] if keep else b""
    head = head[:10] + bytes((packed if keep else packed & 0x7F,)) + head[11:13] + other
    own = [part[:9] + bytes((part[9] | 0x80 | packed & 7,)) + table + part[10:] for part in rest if part[0] == 0x2C]
    return head + b"".join([part for part in rest if part[0] == 0x21] + own + rest[-1:])
