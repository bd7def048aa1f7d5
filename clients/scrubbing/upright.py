"""Orientation applied to the pixels, since the tag that asked for it is gone.

A PNG and a lossless WebP hold pixels, so turning them loses nothing; that is checked on the result. A JPEG loses
nothing either where jpegtran is installed and its sides are multiples of the MCU. What remains is drawn anew, at a
quality at which the loss can't be seen; the caller says so.
"""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from clients.scrubbing import jpegtran
from mesh.errors import Internal, Invalid
from services.ingest.report import Facts, Format

_Transpose = Image.Transpose
# EXIF 3.0, 4.6.5.1.6: where the stored picture's first row and column belong, as what puts them there.
_TURN = {
    2: _Transpose.FLIP_LEFT_RIGHT,
    3: _Transpose.ROTATE_180,
    4: _Transpose.FLIP_TOP_BOTTOM,
    5: _Transpose.TRANSPOSE,
    6: _Transpose.ROTATE_270,
    7: _Transpose.TRANSVERSE,
    8: _Transpose.ROTATE_90,
}
_QUALITY = 95
_NO_OPTIONS: dict[str, Any] = {}
_OPTIONS: dict[Format, dict[str, Any]] = {
    Format.JPEG: {"quality": _QUALITY, "subsampling": "4:4:4", "optimize": True},
    Format.WEBP: {"quality": _QUALITY, "method": 4, "exact": True},
}


def upright(data: bytes, facts: Facts) -> tuple[bytes, bool]:
    """The turned file, and whether every pixel is as it was. Raises Invalid when it can't be decoded."""
    if facts.format is Format.JPEG and (kept := jpegtran.turned(data, facts.orientation)) is not None:
        return kept, True
    try:
        image = _decoded(data, facts.format)
    except Exception:  # Pillow's decoders raise what they like; their text may quote the file
        raise Invalid(
            "MALFORMED_PHOTO", "The photo cannot be decoded; save it again and send that.", field="photo"
        ) from None
    turned = image.transpose(_TURN[facts.orientation])
    lossless = _is_lossless(data, facts.format)
    options = dict(_OPTIONS.get(facts.format, _NO_OPTIONS))
    if facts.format is Format.WEBP:
        options["lossless"] = lossless
    out = _encoded(turned, facts.format, options)
    if lossless and _shown(_decoded(out, facts.format)) != _shown(turned):
        raise Internal("TURN_DISAGREEMENT", "Internal error.")
    return out, lossless


def _decoded(data: bytes, format: Format) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=[format.upper()]) as image:
        image.load()
        return image.copy()


def _encoded(image: Image.Image, format: Format, options: dict[str, Any]) -> bytes:
    """From pixels, and of what the scrubbed file said only what the picture needs."""
    needed = {name: image.info[name] for name in ("icc_profile", "transparency") if name in image.info}
    bare = Image.frombytes(image.mode, image.size, image.tobytes())
    if image.mode == "P":
        bare.putpalette(image.getpalette("RGB") or [])
    out = io.BytesIO()
    bare.save(out, format.upper(), **needed, **options)
    return out.getvalue()


def _shown(image: Image.Image) -> tuple[object, ...]:
    exact = image.mode if image.mode in ("I;16", "L", "LA", "RGB", "RGBA") else "RGBA"
    shown = image if image.mode == exact else image.convert(exact)
    return image.size, shown.tobytes(), image.info.get("transparency"), image.info.get("icc_profile")


def _is_lossless(data: bytes, format: Format) -> bool:
    """Of a scrubbed file. Pillow has no mode for colour of 16 bits a sample, and halves them."""
    if format is Format.PNG:
        depth, kind = data[24], data[25]
        return depth < 16 or kind == 0
    return format is Format.WEBP and b"VP8L" in _chunks(data)


def _chunks(data: bytes) -> list[bytes]:
    kinds, at = list[bytes](), 12
    while at < len(data):
        kinds.append(data[at : at + 4])
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return kinds
