"""A canary's picture and secrets as a file of each format."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, PngImagePlugin

from services.purge.auditor.canary.drawing import Pixels
from services.purge.auditor.canary.secrets import Secrets

_PNG_HEAD = 8  # bytes of signature; a chunk is length, type, data, CRC (PNG, section 5.3)


def jpeg(pixels: Pixels, secrets: Secrets) -> bytes:
    # 4:4:4, so that a tile is one block in each component.
    return _save(
        pixels, "JPEG", quality=85, subsampling=0, exif=secrets.exif, xmp=secrets.xmp, comment=secrets.comment,
        icc_profile=secrets.icc,
    ) + secrets.trailer  # fmt: skip


def png(pixels: Pixels, secrets: Secrets) -> bytes:
    """Stored, not compressed: the tile's repetitions would otherwise be gone from the file."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", secrets.comment.decode())
    texts.add_itxt("XML:com.adobe.xmp", secrets.xmp.decode())
    # Without the profile: compressed, it is much the same in all of them.
    return _save(pixels, "PNG", compress_level=0, exif=secrets.exif, pnginfo=texts) + secrets.trailer


def webp(pixels: Pixels, secrets: Secrets) -> bytes:
    """Lossless: only then are its pixels the canary's."""
    return (
        _save(pixels, "WEBP", lossless=True, quality=0, method=0, exif=secrets.exif, xmp=secrets.xmp) + secrets.trailer
    )


def avif(pixels: Pixels, secrets: Secrets) -> bytes:
    return _save(pixels, "AVIF", quality=80, speed=10, exif=secrets.exif, xmp=secrets.xmp)


def heic(pixels: Pixels, secrets: Secrets) -> bytes:
    import pillow_heif  # noqa: PLC0415 - only whoever sends HEIC needs it

    pillow_heif.register_heif_opener()
    return _save(pixels, "HEIF", quality=80, exif=secrets.exif, xmp=secrets.xmp)


ENCODERS: Mapping[str, Callable[[Pixels, Secrets], bytes]] = {
    "jpeg": jpeg, "png": png, "webp": webp, "heic": heic, "avif": avif,
}  # fmt: skip


def undecodable(pixels: Pixels, secrets: Secrets) -> bytes:
    """A PNG that is whole by its chunks and whose pixels can't be inflated: a scrubber passes it, a decoder doesn't."""
    data = bytearray(png(pixels, secrets))
    at = _PNG_HEAD
    while data[at + 4 : at + 8] != b"IDAT":
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    begin, size = at + 8, int.from_bytes(data[at : at + 4], "big")
    data[begin + 2] = 0x07  # the first deflate block: of the type that doesn't exist (RFC 1951, section 3.2.3)
    data[begin + size : begin + size + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : begin + size]))
    return bytes(data)


def malformed(pixels: Pixels, secrets: Secrets) -> bytes:
    """A JPEG whose frame header contradicts itself: refused by the scrubber, after the metadata before it."""
    data = bytearray(jpeg(pixels, secrets))
    frame = data.rindex(b"\xff\xc0", 0, data.rindex(b"\xff\xda"))
    data[frame + 9] = 77  # components
    return bytes(data)


def _save(pixels: Pixels, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format, **options)
    return out.getvalue()
