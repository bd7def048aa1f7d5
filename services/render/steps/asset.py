"""Pictures that a scene brings in its own folder: read and checked with the scene, and never a photo of anybody's."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST_BYTES = 2 << 20
MOST_SIDE = 2048  # px; the largest canvas has 1,280
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,39}\.(png|webp|jpg)")
_FORMATS = {"png": "PNG", "webp": "WEBP", "jpg": "JPEG"}


@dataclass(frozen=True, slots=True)
class Asset:
    """rgba: uint8 (H, W, 4), sRGB, straight alpha, not to be written to."""

    name: str
    rgba: NDArray[np.uint8]


def read(folder: Path, name: str) -> Asset:
    """The picture of that name in ``folder`` itself. Raises ValueError, which says what is wrong with it."""
    data = contents(folder, name, MOST_BYTES)
    try:
        with Image.open(io.BytesIO(data), formats=[_FORMATS[name.rpartition(".")[2]]]) as image:
            if max(image.size) > MOST_SIDE:
                raise ValueError(f"{name} is {image.width} × {image.height} px; at most {MOST_SIDE} a side")
            rgba = np.array(image.convert("RGBA"), np.uint8)
    except (OSError, SyntaxError, Image.DecompressionBombError):
        raise ValueError(f"{name} can't be read as the picture that its name promises") from None
    rgba.flags.writeable = False
    return Asset(name, rgba)


def contents(folder: Path, name: str, most: int) -> bytes:
    """The file's bytes. Raises ValueError: it isn't there, lies elsewhere, or has more than ``most`` bytes."""
    if not _NAME.fullmatch(name):
        raise ValueError("must be the name of a .png, .webp or .jpg file in the scene's folder, in lower_snake_case")
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"there is no file {name} in the scene's folder")
    if path.stat().st_size > most:
        raise ValueError(f"{name} has more than {most:,} bytes")
    return path.read_bytes()
