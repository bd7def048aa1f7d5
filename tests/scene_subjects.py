"""Synthetic photos for render's tests, of the drawn child; ``FlatNetworks`` stands in for the networks where a test is
about arithmetic, and answers with what the drawing knows.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from services.render.decoding import decode_here
from services.render.drawn_child import FACE, child, outline  # noqa: F401 - tests take them from here
from services.render.likeness import similarity  # noqa: F401
from services.render.picture import Job
from services.render.steps.pixels import Array, resize
from services.render.steps.workspace import Painted, Tools, Workspace


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

    def faces(self, rgb: Array) -> Array:
        return np.zeros((0, 5), np.float32)  # the detector sees none in a drawing, nor does it here

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


def pixels(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))
