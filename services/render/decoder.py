"""The decoder of untrusted bytes: a scrubbed file in, pixels at working size out. Runs in ``mesh.isolation``'s child.

Imports Pillow and nothing heavier: what is imported here is what a hostile photo finds in its process.
Parts: the format ("jpeg", …), then the file's frames. Answer: ``HEAD`` (width, height, whether there is a shape), RGB,
then the shape's L.
Raises Refused: malformed_photo, photo_too_large.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Sequence

from PIL import Image, ImageCms

from mesh.isolation.outcome import Refused

WORK_SIDE = 1536  # px; longer side while a subject is cut out of it: a subject of half the photo still fills the canvas
MAX_PIXELS = 80_000_000  # behind ingest's own limit, and below Pillow's bomb warning
HEAD = struct.Struct("<II?")

Image.init()  # Pillow imports its decoders on first use; a child can't
_SRGB = ImageCms.createProfile("sRGB")


class Frames(io.RawIOBase):
    """A seekable file over frames, so that a whole-file copy is never made."""

    def __init__(self, frames: Sequence[bytes | memoryview]) -> None:
        self._frames = frames
        self._size = sum(len(frame) for frame in frames)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        done, start = 0, 0
        for frame in self._frames:
            if start <= self._at < start + len(frame) and done < len(view):
                part = memoryview(frame)[self._at - start : self._at - start + len(view) - done]
                view[done : done + len(part)] = part
                done += len(part)
                self._at += len(part)
            start += len(frame)
        return done


def run(parts: Sequence[memoryview]) -> Sequence[bytes]:
    """See above. MemoryError passes: it is an outcome of its own."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning may quote the file
            flat, shape = _decode(bytes(parts[0]).decode("ascii"), parts[1:])
    except (Refused, MemoryError):
        raise
    except Exception:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...: one answer to all
        raise Refused("malformed_photo") from None
    head = HEAD.pack(*flat.size, shape is not None)
    return (head, flat.tobytes(), shape.tobytes()) if shape is not None else (head, flat.tobytes())


def _decode(format: str, frames: Sequence[bytes | memoryview]) -> tuple[Image.Image, Image.Image | None]:
    with Image.open(io.BufferedReader(Frames(frames)), formats=[format.upper()]) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Refused("photo_too_large")
        if image.format == "JPEG":
            image.draft("RGB", _fit(image.size))
        image.load()
        profile = image.info.get("icc_profile")
        flat, shape = _flatten(image)
    flat = _to_srgb(flat, profile)
    size = _fit(flat.size)
    if size != flat.size:
        flat = flat.resize(size, Image.Resampling.LANCZOS)
        shape = shape.resize(size, Image.Resampling.LANCZOS) if shape else None
    return flat, shape


def _fit(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, WORK_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _flatten(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """RGB, and the transparency (L) when there is any worth the name."""
    if image.mode.startswith(("I", "F")):  # 16-bit gray PNG: Pillow's own conversion clips instead of scaling
        high = image.getextrema()[1]
        scale = 255.0 / max(255.0, float(high) if isinstance(high, int | float) else 255.0)
        return image.convert("F").point(lambda value: value * scale).convert("L").convert("RGB"), None
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        alpha = rgba.getchannel("A")
        low, _ = alpha.getextrema()
        return rgba.convert("RGB"), alpha if isinstance(low, int) and low < 250 else None
    return image.convert("RGB"), None


def _to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Ingest embeds canonical RGB profiles (Display P3, Adobe RGB) only; one that does not parse is taken for sRGB."""
    if not isinstance(profile, bytes) or not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        made = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return made if made is not None else image
