"""An engine that does nothing, so that a benchmark measures the mesh alone. Must be asked for by name."""

from __future__ import annotations

import io

from PIL import Image

from mesh import errors
from services.render.picture import Cancelled, Job, Picture, Progress

SIDE = 16


class NullEngine:
    """Reads nothing of the photo. Its picture is one colour, told by the photo's width and height alone: so that
    whoever has asked for many can tell whether it got its own."""

    name = "null"
    processors: tuple[str, ...] = ("null-embedded",)

    def start(self) -> None:
        """Nothing to load."""

    def ready(self) -> bool:
        return True

    def render(self, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        progress("encode", 0.0)
        if cancelled():
            raise errors.Cancelled("RENDER_CANCELLED", "The render was taken back.")
        data = plain(job.width, job.height)
        progress("encode", 1.0)
        return Picture(data, "image/jpeg", SIDE, SIDE)

    def close(self) -> None:
        """Nothing to let go of."""


def plain(width: int, height: int) -> bytes:
    """The picture of a photo of this size. Sizes that differ by 4 pixels or more, up to 255, look different."""
    out = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (width % 256, height % 256, 200)).save(out, "JPEG")
    return out.getvalue()
