"""A drawn child: no person is in it, so it may be shown and committed. Previews and tests take its photo.

Its outline and its face are known exactly.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from services.render.steps.pixels import Array

FACE = (0.5, 0.36, 0.17, 0.19)  # centre and half axes, in shares of width and height
_SHIRT = "#5b7fb8"
_SCALE = 4  # drawn so much larger, for smooth edges
_SHAPES = ((0.5, 0.98, 0.40, 0.40), (0.5, 0.58, 0.09, 0.10), (0.5, 0.33, 0.20, 0.21), FACE)


def child(width: int = 240, height: int = 300, *, skin: str = "#e2b08d", hair: str = "#6b4a2f") -> Image.Image:
    """RGB: a bust before a wallpaper, whose shoulders reach the bottom border and no other."""
    image = _wallpaper(width * _SCALE, height * _SCALE)
    draw = ImageDraw.Draw(image)

    def ellipse(x: float, y: float, rx: float, ry: float, fill: str) -> None:
        w, h = width * _SCALE, height * _SCALE
        draw.ellipse([(x - rx) * w, (y - ry) * h, (x + rx) * w, (y + ry) * h], fill=fill)

    ellipse(0.5, 0.98, 0.40, 0.40, _SHIRT)
    ellipse(0.5, 0.58, 0.09, 0.10, skin)
    ellipse(0.5, 0.33, 0.20, 0.21, hair)
    x, y, rx, ry = FACE
    ellipse(x, y, rx, ry, skin)
    for side in (-1, 1):
        ellipse(x + side * 0.065, y - 0.02, 0.030, 0.018, "#ffffff")
        ellipse(x + side * 0.065, y - 0.02, 0.015, 0.015, "#3a2a20")
        ellipse(x + side * 0.10, y + 0.06, 0.03, 0.02, "#e59a86")
    ellipse(x, y + 0.045, 0.016, 0.014, "#c98a6c")
    draw.arc(
        [
            (x - 0.06) * width * _SCALE,
            (y + 0.02) * height * _SCALE,
            (x + 0.06) * width * _SCALE,
            (y + 0.12) * height * _SCALE,
        ],
        20,
        160,
        fill="#a8483f",
        width=3 * _SCALE,
    )
    return image.resize((width, height), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.6))


def outline(width: int, height: int) -> Array:
    """The child's coverage (H, W), 0..1."""
    image = Image.new("L", (width * _SCALE, height * _SCALE))
    draw = ImageDraw.Draw(image)
    for x, y, rx, ry in _SHAPES:
        w, h = width * _SCALE, height * _SCALE
        draw.ellipse([(x - rx) * w, (y - ry) * h, (x + rx) * w, (y + ry) * h], fill=255)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float32) / np.float32(255)


def _wallpaper(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(3)
    base = np.linspace((205, 214, 190), (168, 182, 170), height)[:, None, :] + np.zeros((1, width, 1))
    grain = rng.normal(0, 4, (height // 4 + 1, width // 4 + 1, 1)).repeat(4, axis=0).repeat(4, axis=1)
    return Image.fromarray(np.clip(base + grain[:height, :width], 0, 255).astype(np.uint8))


def siblings(width: int = 320, height: int = 400) -> tuple[Image.Image, list[tuple[float, float, float, float]]]:
    """RGB: two children of different skin, the smaller one in front; and their faces, as ``FACE``."""
    image = _wallpaper(width, height)
    faces = []
    for x, y, size, skin, hair in ((0.0, 0.03, 0.66, "#e2b08d", "#6b4a2f"), (0.36, 0.40, 0.60, "#8a5a3c", "#20150f")):
        w, h = round(size * width), round(size * height)
        left, top = round(x * width), round(y * height)
        image.paste(_SHIRT, (left + round(0.1 * w), top + round(0.98 * h), left + round(0.9 * w), height))
        image.paste(child(w, h, skin=skin, hair=hair), (left, top), _mask(w, h))
        faces.append((x + FACE[0] * size, y + FACE[1] * size, FACE[2] * size, FACE[3] * size))
    return image, faces


def _mask(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.asarray(outline(width, height) * 255 + 0.5, np.uint8))
