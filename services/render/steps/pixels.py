"""Arithmetic on pictures that several steps share.

A picture is float32 (H, W, 3), sRGB-encoded, 0..1; a mask is float32 (H, W), 0..1. Functions return new arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
"""float32 at run time; the type is wider because numpy's stubs widen at each scalar."""

# sRGB (IEC 61966-2-1) to XYZ with the D65 white at (1, 1, 1), and back: CIELAB on top of it.
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    np.float32,
)
_TO_XYZ /= _TO_XYZ.sum(axis=1, keepdims=True)
_FROM_XYZ = np.linalg.inv(_TO_XYZ).astype(np.float32)
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec. 709
_REDUCED = 1.6  # px; a Gaussian that is wider is taken on a reduced copy
_BLOCK = 1 << 16  # floats
_CURVE = np.linspace(0, 1, 4096, dtype=np.float32)
_LINEAR = np.where(_CURVE <= 0.04045, _CURVE / 12.92, ((_CURVE + 0.055) / 1.055) ** 2.4).astype(np.float32)


def luma(rgb: Array) -> Array:
    return np.asarray(rgb @ _LUMA, np.float32)


def mix(a: Array, b: Array, share: Array | float) -> Array:
    """``a`` where share is 0, ``b`` where it is 1; a (H, W) share is spread over the channels."""
    if isinstance(share, np.ndarray) and share.ndim == 2 and a.ndim == 3:
        share = share[..., None]
    return np.asarray(a + (b - a) * share, np.float32)


def smoothstep(low: float, high: float, x: Array) -> Array:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def clip(a: Array) -> Array:
    return np.clip(a, 0, 1)


def to_bytes(rgb: Array) -> NDArray[np.uint8]:
    return np.asarray(np.clip(rgb, 0, 1) * 255 + 0.5, np.uint8)


def from_bytes(rgb: NDArray[np.uint8]) -> Array:
    return np.asarray(rgb, np.float32) / np.float32(255)


def resize(a: Array, width: int, height: int, how: Image.Resampling = Image.Resampling.BICUBIC) -> Array:
    """(H, W) or (H, W, C) to (height, width, ...). Shrinking is antialiased."""
    if a.shape[1] == width and a.shape[0] == height:
        return a.copy()
    if a.ndim == 2:
        return np.asarray(Image.fromarray(np.ascontiguousarray(a, np.float32)).resize((width, height), how))
    return np.stack([resize(a[..., c], width, height, how) for c in range(a.shape[2])], axis=-1)


def blur(a: Array, sigma: float) -> Array:
    """Gaussian of ``sigma`` px with repeated edges. Wide ones work on a reduced copy: the cost stays flat."""
    if sigma <= 0.25:
        return a.copy()
    height, width = a.shape[:2]
    factor = max(1, int(sigma / _REDUCED))
    if factor > 1 and min(height, width) >= 2 * factor:
        small = resize(a, max(2, width // factor), max(2, height // factor), Image.Resampling.BOX)
        small = _separable(_separable(small, sigma / factor, 0), sigma / factor, 1)
        return resize(small, width, height, Image.Resampling.BICUBIC)
    return _separable(_separable(a, sigma, 0), sigma, 1)


def _separable(a: Array, sigma: float, axis: int) -> Array:
    """One pass. In blocks of rows that fit into a core's cache, and both sides of the kernel at once."""
    radius = max(1, int(sigma * 3 + 0.5))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    pad = [(0, 0)] * a.ndim
    pad[axis] = (radius, radius)
    padded = np.pad(a, pad, mode="edge")
    rows, length = a.shape[0], a.shape[axis]
    out = np.empty_like(a)
    block = max(1, _BLOCK // max(1, a[0].size))
    sides = np.empty((block, *a.shape[1:]), a.dtype)
    for top in range(0, rows, block):
        count = min(block, rows - top)
        source = padded[top : top + count + 2 * radius] if axis == 0 else padded[top : top + count]
        done, both = out[top : top + count], sides[:count]

        def shifted(by: int, source: Array = source, count: int = count) -> Array:
            return source[by : by + count] if axis == 0 else source[:, by : by + length]

        np.multiply(shifted(radius), kernel[radius], out=done)
        for at in range(radius):
            np.add(shifted(at), shifted(2 * radius - at), out=both)
            both *= kernel[at]
            done += both
    return out


def to_lab(rgb: Array) -> Array:
    """CIELAB (D65): L 0..100, a and b about -110..110."""
    linear = _LINEAR[np.asarray(np.clip(rgb, 0, 1) * 4095 + 0.5, np.int32)]
    xyz = linear @ _TO_XYZ.T
    f = np.where(xyz > 0.008856, np.cbrt(np.maximum(xyz, 1e-6)), 7.787 * xyz + 16 / 116).astype(np.float32)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def from_lab(lab: Array) -> Array:
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 0.206893, f**3, (f - 16 / 116) / 7.787).astype(np.float32)
    linear = np.clip(xyz @ _FROM_XYZ.T, 0, 1)
    rgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-6) ** (1 / 2.4) - 0.055)
    return np.asarray(np.clip(rgb, 0, 1), np.float32)


def guided(guide: Array, target: Array, radius: float, eps: float, reduce: int = 4) -> Array:
    """Guided filter (He et al., 2010; fast form 2015): ``target`` (H, W) follows the edges of ``guide`` (H, W, 3).

    radius: px; eps: variance below which the guide counts as flat; reduce: coefficients are found at 1/reduce size.
    """
    height, width = target.shape
    w, h = max(8, width // reduce), max(8, height // reduce)
    g = resize(guide, w, h, Image.Resampling.BOX)
    t = resize(target, w, h, Image.Resampling.BOX)
    s = max(0.8, radius / reduce * 0.6)
    mean_g, mean_t = blur(g, s), blur(t, s)
    cov = blur(g * t[..., None], s) - mean_g * mean_t[..., None]
    slope = _solved(blur(g[..., _ROW] * g[..., _COLUMN], s) - mean_g[..., _ROW] * mean_g[..., _COLUMN], eps, cov)
    offset = mean_t - (slope * mean_g).sum(axis=-1)
    slope, offset = blur(slope, s), blur(offset, s)
    return np.asarray((resize(slope, width, height) * guide).sum(axis=-1) + resize(offset, width, height), np.float32)


# The upper triangle of a symmetric 3 × 3 matrix: rr, rg, rb, gg, gb, bb.
_ROW, _COLUMN = (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)


def _solved(upper: Array, eps: float, right: Array) -> Array:
    """x of (M + eps·1) x = right at each pixel, by cofactors. upper: (H, W, 6) of M; right: (H, W, 3)."""
    rr, rg, rb, gg, gb, bb = np.moveaxis(upper, -1, 0)
    rr, gg, bb = rr + eps, gg + eps, bb + eps
    first = np.stack([gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb], axis=-1)
    second = np.stack([gb * rb - rg * bb, rr * bb - rb * rb, rg * rb - rr * gb], axis=-1)
    third = np.stack([rg * gb - gg * rb, rg * rb - rr * gb, rr * gg - rg * rg], axis=-1)
    whole = rr * first[..., 0] + rg * first[..., 1] + rb * first[..., 2]
    rows = [(cofactors * right).sum(axis=-1) for cofactors in (first, second, third)]
    return np.asarray(np.stack(rows, axis=-1) / np.maximum(whole, 1e-12)[..., None], np.float32)


def guided_gray(guide: Array, radius: float, eps: float, reduce: int = 1) -> Array:
    """Self-guided filter of one channel: smooths what varies less than ``eps`` (variance), keeps edges."""
    height, width = guide.shape
    w, h = max(8, width // reduce), max(8, height // reduce)
    g = resize(guide, w, h, Image.Resampling.BOX)
    s = max(0.6, radius / reduce * 0.6)
    mean = blur(g, s)
    var = blur(g * g, s) - mean * mean
    slope = var / (var + eps)
    offset = mean * (1 - slope)
    slope, offset = blur(slope, s), blur(offset, s)
    return np.asarray(resize(slope, width, height) * guide + resize(offset, width, height), np.float32)
