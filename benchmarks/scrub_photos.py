"""The photos that scrubs are measured with: 12 megapixels, about 4 MB, a phone's metadata; made here."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from clients.demo import plant

WIDTH, HEIGHT = 4000, 3000
_XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><dc:creator>DEMO-XMP</dc:creator></x:xmpmeta>"
# What a re-encode uses as well, so that it isn't made to work harder than whoever made the file.
ENCODING: dict[str, dict[str, Any]] = {
    "JPEG baseline": {"format": "JPEG", "quality": 88},
    "JPEG progressive": {"format": "JPEG", "quality": 88, "progressive": True},
    "PNG": {"format": "PNG", "compress_level": 1},
    "WebP": {"format": "WEBP", "quality": 88, "method": 0},
}
# With what a phone writes, so that everyone has something to remove: GPS, a serial, a thumbnail, XMP.
_PLANTED = {
    name: options | ({} if options["format"] == "JPEG" else {"exif": plant.exif(), "xmp": _XMP})
    for name, options in ENCODING.items()
}


def photo(noise: float, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Soft shapes with sensor noise; ``noise`` sets how many bytes a codec needs."""
    y, x = np.mgrid[0:height, 0:width]
    soft = np.stack([np.sin(x / 90 + y / 70), np.cos(x / 150 - y / 330), np.sin(y / 140) * np.cos(x / 60)], -1)
    grain = np.random.default_rng(1).normal(0, noise, soft.shape)
    return Image.fromarray((127 + 80 * soft + grain).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def photos() -> dict[str, bytes]:
    grainy = photo(12.5)
    flat = photo(0).point(lambda value: value & 0xFC)  # so that a PNG of it isn't 20 MB
    bare = {name: encoded(flat if name == "PNG" else grainy, **options) for name, options in _PLANTED.items()}
    return {name: plant.plant(data)[0] if name.startswith("JPEG") else data for name, data in bare.items()}


def large() -> dict[str, bytes]:
    """About 24 MB in each format: noise that no codec can shorten."""
    noise = Image.fromarray(np.random.default_rng(2).integers(0, 256, (2800, 2900, 3), dtype=np.uint8))
    return {
        "JPEG baseline": encoded(noise, format="JPEG", quality=97, subsampling=0),
        "PNG": encoded(noise, format="PNG", compress_level=1),
        "WebP": encoded(noise, format="WEBP", lossless=True, method=0, quality=0),
    }
