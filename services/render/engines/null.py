"""An engine that does nothing, so that a benchmark measures the mesh alone. Must be asked for by name."""

from __future__ import annotations

import io

from PIL import Image

from mesh import errors
from services.render.picture import Cancelled, Job, Picture, Progress

SIDE = 16


class NullEngine:
    """Reads nothing of the photo and returns one constant picture."""

    name = "null"

    def __init__(self) -> None:
        self._data = b""

    def start(self) -> None:
        out = io.BytesIO()
        Image.new("RGB", (SIDE, SIDE), (200, 200, 200)).save(out, "JPEG")
        self._data = out.getvalue()

    def render(self, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        progress("encode", 0.0)
        if cancelled():
            raise errors.Cancelled("RENDER_CANCELLED", "The render was taken back.")
        progress("encode", 1.0)
        return Picture(self._data, "image/jpeg", SIDE, SIDE)

    def close(self) -> None:
        self._data = b""
