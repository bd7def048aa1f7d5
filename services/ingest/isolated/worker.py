"""The converter of untrusted files: HEIC, AVIF, TIFF or BMP in, a JPEG or PNG made from pixels only out.

Runs in ``mesh.isolation``'s child. Parts: the order as JSON, then the file's chunks. Answer: u32 size of the notes, the
notes as JSON ({"removed": {kind: bytes}, "ai_generated": bool, "colour_unknown": bool}), the picture. Nothing of the
file's words gets out: the parent checks the notes against closed lists, and scrubs the picture once more.

With ``recolour``, the parts are an upload's beginning, up to its pixels, and then the scrubbed file; the answer is the
picture alone, or nothing when the profile, or the picture, is of no use.

With ``reduced``, the order is a check: the parts are a scrubbed file, decoded at an eighth where the format allows, and
the answer is empty.
"""

from __future__ import annotations

import io
import json
import struct
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pillow_heif
from PIL import AvifImagePlugin, Image, ImageCms, ImageOps

from mesh.isolation.outcome import Refused
from services.ingest.isolated import bmp, codes, isobmff, recolour, tiff
from services.ingest.isolated.survey import Survey
from services.ingest.report import Colour, Format, Source
from services.ingest.scrub import icc
from services.ingest.scrub.watch import AiMark

QUALITY = 93  # with full chroma; what it costs in fidelity is in docs/scrubbing.md

pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
Image.MAX_IMAGE_PIXELS = None  # our own limits are checked before Pillow's would be
Image.init()  # Pillow imports its decoders on first use; a child can't
_SRGB = ImageCms.createProfile("sRGB")
_P3 = ImageCms.ImageCmsProfile(io.BytesIO(icc.profile(Colour.DISPLAY_P3)))

_SURVEYS: dict[Source, Callable[[memoryview], Survey]] = {
    Source.HEIC: isobmff.survey,
    Source.AVIF: isobmff.survey,
    Source.TIFF: tiff.survey,
    Source.BMP: bmp.survey,
}
_DECODERS = {Source.HEIC: "HEIF", Source.AVIF: "AVIF", Source.TIFF: "TIFF", Source.BMP: "BMP"}
# ITU-T H.273, table 2: BT.709 (sRGB's), unspecified, BT.601 in two versions (near enough); 12 is Display P3's.
_SPACES = {"RGB ": "RGB", "CMYK": "CMYK", "GRAY": "L", "Lab ": "LAB"}  # ICC's names, Pillow's
_LIKE_SRGB, _P3_PRIMARIES = frozenset({None, 1, 2, 5, 6}), 12


def run(parts: Sequence[memoryview]) -> Sequence[bytes]:
    """See above. Raises Refused with a code of ``codes``; MemoryError passes: it is an outcome of its own."""
    order = json.loads(bytes(parts[0]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning may quote the file
            if order.get("reduced"):
                return _check(str(order["format"]), b"".join(parts[1:]))
            if "recolour" in order:
                return _recolour(order, bytes(parts[1]), b"".join(parts[2:]))
            return _convert(Source(order["source"]), b"".join(parts[1:]), order["max_pixels"], order["max_dimension"])
    except (Refused, MemoryError):
        raise
    except Exception:  # decoders raise OSError, SyntaxError, ValueError, struct.error, …: one answer to all
        raise Refused(codes.MALFORMED) from None


def _convert(source: Source, data: bytes, max_pixels: int, max_dimension: int) -> Sequence[bytes]:
    found = _SURVEYS[source](memoryview(data))
    if not found.sizes:
        raise Refused(codes.MALFORMED)
    for size in found.sizes:
        _bound(size, max_pixels, max_dimension)
    with Image.open(io.BytesIO(data), formats=[_DECODERS[source]]) as image:
        _bound(image.size, max_pixels, max_dimension)
        image.load()
        upright = image if source is Source.HEIC else ImageOps.exif_transpose(image)
        picture, unknown = _srgb(upright, found.primaries)
    notes = {
        "removed": {kind.value: size for kind, size in found.removed.items()},
        "ai_generated": AiMark.NEEDLE in data,
        "colour_unknown": unknown,
    }
    head = json.dumps(notes).encode("ascii")
    return struct.pack("<I", len(head)), head, _encoded(picture)


def _recolour(order: Any, head: bytes, scrubbed: bytes) -> Sequence[bytes]:
    """Whatever fails here leaves the photo as the lossless scrub made it, so nothing is refused."""
    try:
        format = Format(order["recolour"])
        profile = recolour.profile(format, head)
        if recolour.space(profile) not in _SPACES:
            return ()
        with Image.open(io.BytesIO(scrubbed), formats=[format.upper()]) as image:
            if recolour.space(profile) != recolour.space_of(image.mode):
                return ()
            image.load()
            pixels = recolour.eight_bits(image)
        del image  # and with it, a WebP's decoder and its canvases
        alpha = _alpha(pixels)
        picture, known = _converted(pixels, profile)
        del pixels
        if picture is None or not known:
            return ()
        if alpha is not None:
            picture.putalpha(alpha)
        encoded = _encoded(recolour.upright(picture, order["orientation"]))
    except MemoryError:
        raise
    except Exception:  # as above: decoders raise anything
        return ()
    return (encoded,) if len(encoded) <= order["max_bytes"] else ()


def _bound(size: tuple[int, int], max_pixels: int, max_dimension: int) -> None:
    if min(size) < 1:
        raise Refused(codes.MALFORMED)
    if max(size) > max_dimension:
        raise Refused(codes.DIMENSION)
    if size[0] * size[1] > max_pixels:
        raise Refused(codes.PIXELS)


def _srgb(image: Image.Image, primaries: int | None) -> tuple[Image.Image, bool]:
    """L, RGB or RGBA in sRGB; and whether its colours were of a space that we don't know."""
    profile = image.info.get("icc_profile")
    alpha = _alpha(image)
    pixels, known = _converted(image, profile) if profile else (None, True)
    if pixels is None:
        pixels = _plain(image)
        if not profile and primaries == _P3_PRIMARIES:
            pixels = _applied(pixels.convert("RGB"), _P3)
        elif not profile:
            known = primaries in _LIKE_SRGB
    if alpha is not None:
        pixels = pixels.convert("RGB")
        pixels.putalpha(alpha)
    return pixels, not known


def _alpha(image: Image.Image) -> Image.Image | None:
    if not image.has_transparency_data:
        return None
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else image.convert("RGBA").getchannel("A")
    return None if alpha.getextrema() == (255, 255) else alpha


def _plain(image: Image.Image) -> Image.Image:
    """8 bits per sample, L or RGB."""
    if image.mode.startswith(("I", "F")):  # Pillow's own conversion clips instead of scaling
        extrema: Any = image.getextrema()
        # Files don't say what their white is: 8 bits, else 16, else the brightest sample.
        white = next((full for full in (255.0, 65535.0) if extrema[1] <= full), extrema[1])
        scale = 255.0 / white
        return image.convert("F").point(lambda value: value * scale).convert("L")
    return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")


def _converted(image: Image.Image, profile: bytes) -> tuple[Image.Image | None, bool]:
    """Through the file's own profile; (None, False) if it is broken or of another kind of pixels."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _SPACES[opened.profile.xcolor_space]
        own = image if image.mode == mode else _plain(image).convert(mode)
        return _applied(own, opened), True
    except (ImageCms.PyCMSError, OSError, ValueError, KeyError):
        return None, False


def _applied(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    made = ImageCms.profileToProfile(
        image, profile, _SRGB, ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB", flags=ImageCms.Flags.BLACKPOINTCOMPENSATION
    )
    if made is None:
        raise ValueError
    return made


def _encoded(picture: Image.Image) -> bytes:
    """From a canvas that has never seen the file: whatever hangs on ``picture`` besides its pixels stays behind."""
    clean = Image.new(picture.mode, picture.size)
    clean.paste(picture)
    out = io.BytesIO()
    if clean.mode == "RGBA":
        clean.save(out, "PNG", compress_level=4)
    else:
        clean.save(out, "JPEG", quality=QUALITY, subsampling="4:4:4")
    return out.getvalue()


def _check(format: str, data: bytes) -> Sequence[bytes]:
    """Every pixel is decoded; only what a JPEG's smaller inverse transform leaves out isn't computed."""
    with Image.open(io.BytesIO(data), formats=[format.upper()]) as image:
        if image.format == "JPEG":
            image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
        image.load()
    return ()
