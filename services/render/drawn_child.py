"""A drawn child: no person is in it, so it may be shown and committed. Previews and tests take its photo.

Its outline and its face are known exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from services.render.steps.pixels import Array

FACE = (0.5, 0.36, 0.17, 0.19)  # centre and half axes, in shares of width and height
_SHIRT = "#5b7fb8"
_Blot = tuple[float, float, float, float, str]
"""Centre and half axes, the latter both in shares of the width; colour."""
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


def at_home(width: int = 480, height: int = 600) -> Image.Image:
    """RGB: a toddler in a room, drawn with more care: for being looked at."""
    w, h = width * 2, height * 2

    def box(x: float, y: float, rx: float, ry: float) -> list[float]:
        return [(x - rx) * w, y * h - ry * w, (x + rx) * w, y * h + ry * w]

    def blot(canvas: Image.Image, blot: _Blot) -> None:
        x, y, rx, ry, fill = blot
        ImageDraw.Draw(canvas).ellipse(box(x, y, rx, ry), fill=fill)

    def soft(canvas: Image.Image, blots: Sequence[_Blot], blurred: float, share: float) -> None:
        for x, y, rx, ry, fill in blots:
            mask = Image.new("L", canvas.size)
            ImageDraw.Draw(mask).ellipse(box(x, y, rx, ry), fill=round(255 * share))
            canvas.paste(fill, mask=mask.filter(ImageFilter.GaussianBlur(blurred * w)))

    room = Image.new("RGB", (w, h), "#d8c3a5")
    draw = ImageDraw.Draw(room)
    draw.rectangle([0, 0, 0.30 * w, 0.55 * h], fill="#f7edd6")  # a window, its bars, a shelf with toys
    draw.rectangle([0.14 * w, 0, 0.155 * w, 0.55 * h], fill="#c9b08d")
    draw.rectangle([0, 0.27 * h, 0.30 * w, 0.28 * h], fill="#c9b08d")
    draw.rectangle([0.66 * w, 0.34 * h, w, 0.36 * h], fill="#9a7650")
    for x, colour in ((0.72, "#c65d4b"), (0.80, "#5f8d8a"), (0.90, "#e0a84a")):
        draw.rectangle([x * w - 0.035 * w, 0.26 * h, x * w + 0.035 * w, 0.34 * h], fill=colour)
    draw.rectangle([0, 0.80 * h, w, h], fill="#b08f68")
    room = room.filter(ImageFilter.GaussianBlur(0.006 * w))
    skin, hair, shirt = "#dda27c", "#54351f", "#e6ecef"
    blot(room, (0.5, 1.02, 0.36, 0.40, shirt))
    for y in (0.79, 0.85, 0.91, 0.97):
        ImageDraw.Draw(room).arc([0.16 * w, y * h, 0.84 * w, y * h + 0.30 * w], 200, 340, "#7c9bb3", round(0.014 * w))
    blot(room, (0.5, 0.665, 0.10, 0.09, skin))
    for side in (-1, 1):
        blot(room, (0.5 + side * 0.228, 0.455, 0.04, 0.055, skin))
    blot(room, (0.5, 0.385, 0.248, 0.25, hair))
    blot(room, (0.5, 0.455, 0.222, 0.232, skin))
    for x, rx in ((0.38, 0.13), (0.53, 0.15), (0.64, 0.09)):
        blot(room, (x, 0.302, rx, 0.075, hair))
    soft(room, [(0.40, 0.49, 0.10, 0.10, "#f3c4a0")], 0.05, 0.55)
    soft(room, [(0.645, 0.50, 0.035, 0.12, "#a86f4c"), (0.5, 0.655, 0.12, 0.03, "#a86f4c")], 0.03, 0.45)
    soft(room, [(0.5 + side * 0.13, 0.535, 0.045, 0.038, "#e2705c") for side in (-1, 1)], 0.02, 0.55)
    soft(room, [(0.36, 0.27, 0.10, 0.04, "#8a5d38")], 0.025, 0.6)
    for side in (-1, 1):
        x = 0.5 + side * 0.088
        blot(room, (x, 0.462, 0.036, 0.030, "#ffffff"))
        blot(room, (x, 0.464, 0.025, 0.027, "#3d2818"))
        blot(room, (x - 0.008, 0.456, 0.008, 0.008, "#ffffff"))
        draw = ImageDraw.Draw(room)
        draw.arc([(x - 0.045) * w, 0.405 * h, (x + 0.045) * w, 0.405 * h + 0.05 * w], 205, 335, hair, round(0.009 * w))
    blot(room, (0.5, 0.512, 0.020, 0.015, "#c98664"))
    draw = ImageDraw.Draw(room)
    draw.chord([0.435 * w, 0.525 * h, 0.565 * w, 0.525 * h + 0.085 * w], 10, 170, fill="#a5433c")
    draw.chord([0.455 * w, 0.5485 * h, 0.545 * w, 0.5485 * h + 0.022 * w], 0, 180, fill="#fff6ee")
    return room.resize((width, height), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.6))
