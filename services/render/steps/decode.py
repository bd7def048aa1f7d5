"""Bytes to pixels: at reduced scale where the format allows, in sRGB, flattened, within limits.

Raises Invalid: MALFORMED_PHOTO, PHOTO_TOO_SMALL, PHOTO_TOO_LARGE.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from mesh.errors import Invalid
from services.render.steps.pixels import Array, from_bytes, luma
from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace

WORK_SIDE = 1536  # px; longer side while a subject is cut out of it: a subject of half the photo still fills the canvas
MAX_PIXELS = 80_000_000  # behind ingest's own limit, and below Pillow's bomb warning
PAPER = (0.965, 0.95, 0.925)  # what a transparent photo is laid on: warm paper suits skin better than white


@dataclass(frozen=True, slots=True)
class Params:
    pass


class Frames(io.RawIOBase):
    """A seekable file over frames, so that a whole-file copy is never made."""

    def __init__(self, frames: Sequence[bytes]) -> None:
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


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    job = ws.job
    _check_size(job.width, job.height, ws.min_side)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning may quote the file
            with Image.open(io.BufferedReader(Frames(job.photo)), formats=[job.format.upper()]) as image:
                _check_size(*image.size, ws.min_side)
                if image.format == "JPEG":
                    image.draft("RGB", _fit(image.size, WORK_SIDE))
                image.load()
                profile = image.info.get("icc_profile")
                flat, shape = _flatten(image)
    except Invalid:
        raise
    except Exception:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...: one answer to all
        raise Invalid(
            "MALFORMED_PHOTO", "The photo cannot be decoded; save it again and send that.", field="photo"
        ) from None
    flat = _to_srgb(flat, profile)
    size = _fit(flat.size, WORK_SIDE)
    if size != flat.size:
        flat = flat.resize(size, Image.Resampling.LANCZOS)
        shape = shape.resize(size, Image.Resampling.LANCZOS) if shape else None
    ws.photo = from_bytes(np.asarray(flat))
    ws.shape = from_bytes(np.asarray(shape)) if shape else None
    if ws.shape is not None:
        ground = np.array(PAPER, np.float32)
        ws.photo = np.asarray(ground + (ws.photo - ground) * ws.shape[..., None], np.float32)
    ws.monochrome = _is_monochrome(ws.photo)


def _check_size(width: int, height: int, min_side: int) -> None:
    if min(width, height) < min_side:
        raise Invalid(
            "PHOTO_TOO_SMALL",
            f"This scene needs a photo of at least {min_side} px on its shorter side.",
            field="photo",
            limit=min_side,
        )
    if width * height > MAX_PIXELS:
        raise Invalid(
            "PHOTO_TOO_LARGE", "The photo has too many pixels; send a smaller copy.", field="photo", limit=MAX_PIXELS
        )


def _fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _flatten(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """RGB, and the transparency (L) when there is any worth the name."""
    if image.mode.startswith(("I", "F")):  # 16-bit gray PNG: Pillow's own conversion clips instead of scaling
        gray = np.asarray(image, np.float32)
        return Image.fromarray(np.asarray(gray / max(255.0, float(gray.max())) * 255, np.uint8)).convert("RGB"), None
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
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
        made = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return made if made is not None else image


def _is_monochrome(photo: Array) -> bool:
    small = photo[::8, ::8]
    return bool(np.abs(small - luma(small)[..., None]).mean() < 0.012)


STEP = Step(Params, run, cost=1.0)
