"""Synthetic photos for render's tests: a drawn child before a wallpaper, whose outline and face are known exactly.

No person is in them, so they can be committed as code; ``FlatNetworks`` stands in for the networks where a test is
about arithmetic, and answers with what the drawing knows.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw, ImageFilter

from services.render.decoding import decode_here
from services.render.picture import Job
from services.render.steps.pixels import Array, resize
from services.render.steps.workspace import Painted, Tools, Workspace

FACE = (0.5, 0.36, 0.17, 0.19)  # centre and half axes, in shares of width and height


def child(width: int = 240, height: int = 300, *, skin: str = "#e2b08d") -> Image.Image:
    """A bust whose shoulders reach the bottom border and no other."""
    scale = 4
    image = _wallpaper(width * scale, height * scale)
    draw = ImageDraw.Draw(image)

    def ellipse(x: float, y: float, rx: float, ry: float, fill: str) -> None:
        w, h = width * scale, height * scale
        draw.ellipse([(x - rx) * w, (y - ry) * h, (x + rx) * w, (y + ry) * h], fill=fill)

    ellipse(0.5, 0.98, 0.40, 0.40, "#5b7fb8")
    ellipse(0.5, 0.58, 0.09, 0.10, skin)
    ellipse(0.5, 0.33, 0.20, 0.21, "#6b4a2f")
    x, y, rx, ry = FACE
    ellipse(x, y, rx, ry, skin)
    for side in (-1, 1):
        ellipse(x + side * 0.065, y - 0.02, 0.030, 0.018, "#ffffff")
        ellipse(x + side * 0.065, y - 0.02, 0.015, 0.015, "#3a2a20")
        ellipse(x + side * 0.10, y + 0.06, 0.03, 0.02, "#e59a86")
    ellipse(x, y + 0.045, 0.016, 0.014, "#c98a6c")
    draw.arc(
        [
            (x - 0.06) * width * scale,
            (y + 0.02) * height * scale,
            (x + 0.06) * width * scale,
            (y + 0.12) * height * scale,
        ],
        20,
        160,
        fill="#a8483f",
        width=3 * scale,
    )
    return image.resize((width, height), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.6))


def outline(width: int, height: int) -> Array:
    """The child's coverage (H, W), 0..1."""
    image = Image.new("L", (width * 4, height * 4))
    draw = ImageDraw.Draw(image)
    for x, y, rx, ry in ((0.5, 0.98, 0.40, 0.40), (0.5, 0.58, 0.09, 0.10), (0.5, 0.33, 0.20, 0.21), FACE):
        w, h = width * 4, height * 4
        draw.ellipse([(x - rx) * w, (y - ry) * h, (x + rx) * w, (y + ry) * h], fill=255)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float32) / np.float32(255)


def _wallpaper(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(3)
    base = np.linspace((205, 214, 190), (168, 182, 170), height)[:, None, :] + np.zeros((1, width, 1))
    grain = rng.normal(0, 4, (height // 4 + 1, width // 4 + 1, 1)).repeat(4, axis=0).repeat(4, axis=1)
    return Image.fromarray(np.clip(base + grain[:height, :width], 0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str = "jpeg", **how: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind.upper(), **({"quality": 95} if kind == "jpeg" else {}) | how)
    return out.getvalue()


def job(data: bytes, scene_id: str = "", *, kind: str = "jpeg", orientation: int = 1, **more: Any) -> Job:
    """A job over ``data`` in uneven frames; width and height are read from it where Pillow can."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
    except Exception:  # the malformed ones
        width, height = 240, 300
    frames = [data[:7], data[7:1000], data[1000:]]
    return Job(frames, kind, more.pop("width", width), more.pop("height", height), orientation, scene_id, **more)


def workspace(a_job: Job, **more: Any) -> Workspace:
    return Workspace(a_job, "test", "milestone", more.pop("min_side", 32), more.pop("caption", ""), **more)


class FlatNetworks:
    """Knows the child's outline; its style adds stripes, so that a test can see where style went."""

    def __init__(self, mask: Array | None = None) -> None:
        self._mask = outline(320, 320) if mask is None else mask
        self.styled: list[tuple[int, ...]] = []

    def cut_out(self, rgb: Array) -> Array:
        return resize(self._mask, rgb.shape[1], rgb.shape[0])

    def stylize(self, rgb: Array, weights: tuple[float, ...]) -> Array:
        self.styled.append(rgb.shape)
        stripes = np.sin(np.arange(rgb.shape[1], dtype=np.float32) * 1.5) * np.float32(0.2)
        return np.clip(rgb + stripes[None, :, None], 0, 1)


def tools(networks: FlatNetworks | None = None) -> Tools:
    def paint(key: tuple[str, int, int, int], made: Callable[[], Painted]) -> Painted:
        return made()

    return Tools(networks or FlatNetworks(), paint, decode_here)


def markers(jpeg: bytes) -> list[int]:
    """The marker codes of a JPEG up to its scan, then of what follows (ISO/IEC 10918-1, B.1.1)."""
    assert jpeg[:2] == b"\xff\xd8"
    found, at = [], 2
    while at < len(jpeg):
        assert jpeg[at] == 0xFF, "not at a marker"
        code = jpeg[at + 1]
        found.append(code)
        if code == 0xD9:
            assert at + 2 == len(jpeg), "bytes after the end of the image"
            return found
        at += 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        if code == 0xDA:  # entropy-coded data runs to the next marker that is neither stuffing nor a restart
            while jpeg[at] != 0xFF or jpeg[at + 1] == 0 or 0xD0 <= jpeg[at + 1] <= 0xD7:
                at += 1
    raise AssertionError("no end of image")


def display_p3() -> bytes:
    """A minimal ICC v2 matrix profile with Display P3 primaries, D50-adapted, gamma 2.2."""
    columns = {b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2920, 0.6922, 0.0419), b"bXYZ": (0.1571, 0.0666, 0.7841)}
    tags: list[tuple[bytes, bytes]] = [
        (b"desc", b"desc" + bytes(4) + struct.pack(">I", 3) + b"P3\0" + bytes(78)),
        (b"cprt", b"text" + bytes(4) + b"none\0"),
        (b"wtpt", _xyz(0.9642, 1.0, 0.8249)),
        *((name, _xyz(*value)) for name, value in columns.items()),
        *((name, b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256))) for name in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags:
        data = value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", at, len(data))
        body += data
        at += len(data)
    head = struct.pack(">I4sI4s4s4s", at, bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(
        ">6H4s4sI4sI8sI12s",
        2026,
        1,
        1,
        0,
        0,
        0,
        b"acsp",
        bytes(4),
        0,
        bytes(4),
        0,
        bytes(8),
        0,
        struct.pack(">3i", 63190, 65536, 54061),
    )
    profile = head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
    ImageCms.ImageCmsProfile(io.BytesIO(profile))  # raises when it is not one
    return profile


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))


def similarity(a: Array, b: Array) -> float:
    """Mean structural similarity (Wang et al., 2004) of two luma pictures (H, W), 0..1, Gaussian windows of 1.5 px."""
    from services.render.steps.pixels import blur

    mean_a, mean_b = blur(a, 1.5), blur(b, 1.5)
    var_a, var_b = blur(a * a, 1.5) - mean_a**2, blur(b * b, 1.5) - mean_b**2
    both = blur(a * b, 1.5) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())


def pixels(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))
