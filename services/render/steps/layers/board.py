"""What a layer paints on, and the noise that it paints with. Sizes are shares of the board's height: worlds scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from services.render.steps.params import Color, Stops
from services.render.steps.pixels import Array, blur, resize, smoothstep


@dataclass(slots=True)
class Board:
    """rgb: (H, W, 3), straight colour; alpha: (H, W). The back is full, the front starts empty.

    light: where the scene's light stands, fractions of width and height; light_color, ambient: its two colours.
    """

    rgb: Array
    alpha: Array
    light: tuple[float, float]
    light_color: Color
    ambient: Color

    @property
    def height(self) -> int:
        return int(self.alpha.shape[0])

    @property
    def width(self) -> int:
        return int(self.alpha.shape[1])

    def px(self, share: float) -> float:
        """A length given as a share of the shorter side, in px."""
        return share * float(min(self.alpha.shape))

    def over(self, color: Array | Color, mask: Array, top: int = 0, left: int = 0) -> None:
        """Paint ``color`` (one, or (h, w, 3)) through ``mask`` (h, w), straight alpha, at (top, left), clipped."""
        bottom, right = min(self.height, top + mask.shape[0]), min(self.width, left + mask.shape[1])
        y, x = max(0, top), max(0, left)
        if bottom <= y or right <= x:
            return
        part = (slice(y - top, bottom - top), slice(x - left, right - left))
        cover = mask[part]
        ink = np.asarray(color, np.float32)
        if ink.ndim == 3:
            ink = ink[part]
        area = (slice(y, bottom), slice(x, right))
        before = self.alpha[area]
        after = cover + before * (1 - cover)
        share = (cover / np.maximum(after, 1e-5))[..., None]
        self.rgb[area] += (ink - self.rgb[area]) * share
        self.alpha[area] = after

    def add_light(self, color: Array | Color, mask: Array) -> None:
        """Screen ``color`` (one, or (H, W, 3)) onto what is there."""
        self.rgb += (1 - np.clip(self.rgb, 0, 1)) * np.asarray(color, np.float32) * mask[..., None]

    def grid(self) -> tuple[Array, Array]:
        """(y, x), each broadcastable to (H, W), px."""
        return (np.arange(self.height, dtype=np.float32)[:, None], np.arange(self.width, dtype=np.float32)[None, :])


def blank(height: int, width: int, light: tuple[float, float], light_color: Color, ambient: Color) -> Board:
    return Board(
        np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32), light, light_color, ambient
    )


def fbm(
    rng: np.random.Generator,
    height: int,
    width: int,
    size: float,
    octaves: int = 4,
    stretch: float = 1.0,
    gain: float = 0.5,
) -> Array:
    """Fractal noise (H, W), 0..1, mean 0.5, about 0.5 +- 0.2. size: px of the largest blot; stretch: > 1 is wider.

    Each octave is white noise at half a blot's spacing, blurred: a plain lattice would show its squares.
    """
    out = np.zeros((height, width), np.float32)
    total, amplitude = 0.0, 1.0
    for octave in range(octaves):
        cell = size / 2 ** (octave + 1)
        if cell < 1.0 and octave:
            break
        rows = min(height, max(4, int(np.ceil(height / (cell / stretch**0.5))) + 2))
        columns = min(width, max(4, int(np.ceil(width / (cell * stretch**0.5))) + 2))
        grid = blur(rng.standard_normal((rows + 4, columns + 4), dtype=np.float32), 0.85)[2:-2, 2:-2] * np.float32(0.62)
        out += amplitude * resize(grid, width, height, Image.Resampling.BICUBIC)
        total += amplitude**2
        amplitude *= gain
    return np.asarray(np.clip(0.5 + out / np.float32(total**0.5) * np.float32(0.62), 0, 1))


def ridge(rng: np.random.Generator, width: int, size: float, octaves: int = 4) -> Array:
    """One line of fractal noise (W,), -1..1."""
    return np.asarray((fbm(rng, 2, width, size, octaves)[0] - 0.5) * 2)


def gradient(stops: Stops, t: Array) -> Array:
    """Colour (..., 3) at positions ``t``; smooth between stops."""
    at = np.array([stop[0] for stop in stops], np.float32)
    ink = np.array([stop[1] for stop in stops], np.float32)
    return np.stack([np.interp(t, at, ink[:, c]) for c in range(3)], axis=-1).astype(np.float32)


def jitter(rng: np.random.Generator, color: Color | Array, value: float = 0.06, hue: float = 0.02) -> Array:
    """A neighbour of a colour, as a brush that was not quite cleaned gives."""
    shift = rng.normal(0, value) + rng.normal(0, hue, 3)
    return np.asarray(np.clip(np.asarray(color, np.float32) * (1 + shift), 0, 1), np.float32)


def soft_edge(distance: Array, softness: float) -> Array:
    """1 where distance (px) is positive, over ``softness`` px."""
    return smoothstep(-softness, softness, distance)


class Pen:
    """Draws many opaque shapes at twice the size on a part of a board, then lays them on it, antialiased."""

    SCALE = 2

    def __init__(self, board: Board, top: int, bottom: int) -> None:
        self._board = board
        self._top = max(0, top)
        self._image = Image.new(
            "RGBA", (board.width * self.SCALE, max(1, min(board.height, bottom) - self._top) * self.SCALE)
        )
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Array, color: Array) -> None:
        """points: (N, 2), x and y in the board's px."""
        moved = (np.asarray(points, np.float32) - (0, self._top)) * self.SCALE
        self._draw.polygon(moved.ravel().tolist(), fill=_ink(color))

    def dab(self, x: float, y: float, rx: float, ry: float, color: Array) -> None:
        x, y, rx, ry = x * self.SCALE, (y - self._top) * self.SCALE, rx * self.SCALE, ry * self.SCALE
        self._draw.ellipse([x - rx, y - ry, x + rx, y + ry], fill=_ink(color))

    def line(self, points: Array, width: float, color: Array) -> None:
        moved = (np.asarray(points, np.float32) - (0, self._top)) * self.SCALE
        self._draw.line(
            moved.ravel().tolist(),
            fill=_ink(color),
            width=max(1, round(width * self.SCALE)),
            joint="curve",
        )

    def lay(self, opacity: float = 1.0, soften: float = 0.0) -> None:
        width, height = self._image.width // self.SCALE, self._image.height // self.SCALE
        small = np.asarray(self._image.convert("RGBa").resize((width, height), Image.Resampling.BOX), np.float32) / 255
        if soften > 0:
            small = blur(small, soften)
        alpha = small[..., 3]
        rgb = small[..., :3] / np.maximum(alpha, 1e-3)[..., None]
        self._board.over(np.clip(rgb, 0, 1), alpha * opacity, self._top, 0)


def _ink(color: Array) -> tuple[int, int, int, int]:
    # Plain numbers: a world has tens of thousands of dabs, and numpy on three values costs more than drawing one.
    red, green, blue = (min(255, max(0, int(c * 255 + 0.5))) for c in np.asarray(color).tolist())
    return (red, green, blue, 255)
