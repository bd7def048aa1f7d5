"""Draws ``lantern.png`` of the scene ``lantern_evening``: a paper lantern, lit from within.

Usage: python -m tools.draw_lantern
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

TARGET = Path(__file__).resolve().parent.parent / "services" / "render" / "scenes" / "lantern_evening" / "lantern.png"
WIDE, HIGH, SCALE = 180, 240, 4


def lantern() -> Image.Image:
    """RGBA (HIGH, WIDE): a ribbed globe between two rings, on a string."""
    w, h = WIDE * SCALE, HIGH * SCALE
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    u, v = (x - w / 2) / (0.44 * w), (y - 0.56 * h) / (0.34 * h)
    inside = np.clip((1 - np.hypot(u, v)) * 60, 0, 1)
    # Paper between ribs, brightest before the candle, which stands low.
    ribs = 0.06 * np.cos(v * 30) * (1 - np.abs(v) ** 4)
    glow = np.exp(-(u**2 / 0.40 + (v - 0.22) ** 2 / 0.45))
    light = np.clip(0.30 + 0.72 * glow + ribs - 0.10 * u**2, 0, 1)[..., None]
    dark, warm, bright = (np.array(c, np.float32) for c in ((178, 74, 40), (246, 164, 78), (255, 240, 190)))
    rgb = np.where(light < 0.6, dark + (warm - dark) * light / 0.6, warm + (bright - warm) * (light - 0.6) / 0.4)
    image = Image.fromarray(np.dstack([rgb, inside * 255]).clip(0, 255).astype(np.uint8), "RGBA")
    draw = ImageDraw.Draw(image)
    for ring in (0.225, 0.885):
        draw.rounded_rectangle([0.36 * w, ring * h - 9 * SCALE / 2, 0.64 * w, ring * h + 9 * SCALE / 2], 8, "#5b3522")
    draw.line([0.5 * w, 0, 0.5 * w, 0.22 * h], fill="#6b5a52", width=2 * SCALE)
    draw.line([0.5 * w, 0.9 * h, 0.5 * w, h], fill="#b5512f", width=3 * SCALE)
    return image.filter(ImageFilter.GaussianBlur(SCALE * 0.5)).resize((WIDE, HIGH), Image.Resampling.LANCZOS)


def main() -> None:
    lantern().quantize(128).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
