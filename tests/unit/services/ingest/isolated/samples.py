"""HEIC, AVIF, TIFF and BMP as phones, cameras and scanners write them, with something planted in each place."""

from __future__ import annotations

import io
import struct
from functools import cache

import numpy as np
import pillow_heif
from PIL import Image, TiffImagePlugin

from clients.demo import plant
from services.ingest.report import Source
from tests.photos import CANARY

pillow_heif.register_heif_opener()

SIZE = (160, 96)
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + CANARY + b"</x:xmpmeta>"
# What a camera stores so that a viewer who follows the tag sees it upright (EXIF 2.32, tag 0x0112).
_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@cache
def upright(width: int = SIZE[0], height: int = SIZE[1]) -> Image.Image:
    """Four different corners over a gradient: no orientation looks like another."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    rgb = np.stack([40 + 160 * x, 40 + 160 * y, 120 + 60 * np.sin(6 * x) * np.cos(5 * y)], -1)
    h, w = height // 3, width // 3
    rgb[:h, :w] = (220, 60, 60)
    rgb[:h, -w:] = (60, 200, 80)
    rgb[-h:, :w] = (70, 90, 220)
    return Image.fromarray(rgb.astype(np.uint8))


def exif(orientation: int = 1) -> bytes:
    """GPS, a camera serial, a maker note: ``plant``'s, then the canary."""
    return plant.exif(orientation=orientation) + CANARY


def file(
    source: Source, image: Image.Image | None = None, *, orientation: int = 1, planted: bool = True, **more: object
) -> bytes:
    """``image`` stored so that a viewer sees it as it is, whatever ``orientation`` says."""
    image = image or upright()
    stored = image if orientation == 1 else image.transpose(_STORED[orientation])
    out = io.BytesIO()
    if source is Source.BMP:
        stored.save(out, "BMP")
        return out.getvalue() + (CANARY if planted else b"")
    if source is Source.TIFF:
        return _tiff(stored, orientation, planted, more)
    options: dict[str, object] = (
        {"quality": 95, "exif": b"Exif\0\0" + exif(orientation)} if planted else {"quality": 95}
    )
    if planted:
        options["xmp"] = XMP
    elif orientation != 1:
        options["exif"] = _orientation_only(orientation)
    stored.save(out, "HEIF" if source is Source.HEIC else "AVIF", **(options | more))
    return out.getvalue()


def _orientation_only(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def _tiff(image: Image.Image, orientation: int, planted: bool, more: dict[str, object]) -> bytes:
    out = io.BytesIO()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x0112] = orientation
    if planted:
        tags[0x010E] = CANARY.decode()
        tags[0x0110] = "Serial " + CANARY.decode()
        tags[700] = XMP
    if planted and more.get("compression") == "raw":  # libtiff's writer leaves directories out
        tags[0x8825] = {1: "N", 29: CANARY.decode()}
    image.save(out, "TIFF", tiffinfo=tags, **({"compression": "tiff_lzw"} | more))
    return out.getvalue() + (CANARY if planted else b"")


def psnr(a: Image.Image, b: Image.Image) -> float:
    """dB over all samples."""
    one, other = (np.asarray(each.convert("RGB"), np.float64) for each in (a, b))
    assert one.shape == other.shape, "not the same size: turned twice, or not at all"
    error = float(np.mean((one - other) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content
