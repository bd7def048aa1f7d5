"""Everything that a picture says of how it was made, read from its bytes; a stranger's file, so nothing is believed."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image

from clients.inspecting import credentials, metadata
from clients.inspecting.report import Found, Report
from mesh.errors import Invalid
from services.render.marking import watermark

MAX_BYTES = 64 << 20
MAX_PIXELS = 80_000_000  # below which Pillow has no warning of its own
_LEAST_SIDE = 16  # px; of less nothing can be read
_FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


def inspect(data: bytes, *, anchors: str = "") -> Report:
    """anchors: certificates to trust, PEM.

    Raises Invalid: NOT_A_PICTURE, PICTURE_TOO_LARGE, CREDENTIALS_MALFORMED.
    """
    if len(data) > MAX_BYTES:
        raise too_large(MAX_BYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning may quote the file
            with Image.open(io.BytesIO(data), formats=list(_FORMATS)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise too_large(MAX_PIXELS)
                said = metadata.read(image)
                format, size = str(image.format), image.size
                rgb = np.asarray(image.convert("RGB"), np.float32) / np.float32(255)
    except Invalid:
        raise
    except Exception:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, …: one answer to all
        raise Invalid("NOT_A_PICTURE", "This is no picture that can be read (JPEG, PNG, WebP).") from None
    signed = credentials.read(data, _FORMATS[format], anchors)
    mark = watermark.read(rgb) if min(size) >= _LEAST_SIDE else None
    found = Found(mark.source_type, mark.matched, mark.bits, mark.chance) if mark else None
    return Report(format.lower(), *size, signed, said, found)


def too_large(limit: int) -> Invalid:
    return Invalid("PICTURE_TOO_LARGE", "The picture is too large to be looked into.", field="picture", limit=limit)
