"""How near a converted HEIC or AVIF is to what its decoder gave: PSNR and SSIM of made pictures."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import Image

from benchmarks.scrub_photos import encoded, photo
from services.ingest.isolated.alone import convert_all
from services.ingest.limits import Limits

Grid = npt.NDArray[np.float64]
_WINDOW = 8


@dataclass(frozen=True)
class Quality:
    source: str
    picture: str
    bytes_in: int
    bytes_out: int
    psnr: float
    ssim: float


def pictures() -> dict[str, Image.Image]:
    chart = Image.effect_mandelbrot((1280, 960), (-2.2, -1.2, 1.0, 1.2), 80)
    return {
        "soft": photo(0, 1280, 960),
        "soft with grain": photo(6, 1280, 960),
        "edges (a fractal)": Image.merge(
            "RGB", (chart, chart.rotate(180), chart.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        ),
    }


def measure() -> list[Quality]:
    pillow_heif.register_heif_opener()
    made = [
        (source, name, encoded(image, format=format, quality=85))
        for name, image in pictures().items()
        for source, format in (("HEIC", "HEIF"), ("AVIF", "AVIF"))
    ]
    converted = convert_all([data for _, _, data in made], Limits())
    return [
        Quality(source, name, len(data), len(out), *compared(pixels(data), pixels(out)))
        for (source, name, data), (out, _) in zip(made, converted, strict=True)
    ]


def pixels(data: bytes) -> Grid:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"), np.float64)


def compared(before: Grid, after: Grid) -> tuple[float, float]:
    """PSNR in dB over RGB; SSIM of luma over 8 × 8 windows (Wang et al. 2004, with its constants)."""
    error = float(np.mean((before - after) ** 2))
    luma = np.array([0.299, 0.587, 0.114])
    return 10 * np.log10(255**2 / max(error, 1e-9)), ssim(before @ luma, after @ luma)


def ssim(a: Grid, b: Grid) -> float:
    a, b = windows(a), windows(b)
    mean_a, mean_b = a.mean(-1), b.mean(-1)
    both = ((a - mean_a[:, None]) * (b - mean_b[:, None])).mean(-1)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float(np.mean(top / ((mean_a**2 + mean_b**2 + c1) * (a.var(-1) + b.var(-1) + c2))))


def windows(grid: Grid) -> Grid:
    high, wide = (side // _WINDOW * _WINDOW for side in grid.shape)
    tiles = grid[:high, :wide].reshape(high // _WINDOW, _WINDOW, wide // _WINDOW, _WINDOW)
    return tiles.swapaxes(1, 2).reshape(-1, _WINDOW * _WINDOW)
