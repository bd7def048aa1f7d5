"""What a scrub says about a photo: counts and flags only, never a value taken from its metadata."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """The formats that are scrubbed losslessly; the output has the same format as the input."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    GIF = "gif"  # its first picture


class Source(StrEnum):
    """The formats that are decoded and re-encoded, as a JPEG or (with transparency) a PNG."""

    HEIC = "heic"
    AVIF = "avif"
    TIFF = "tiff"
    BMP = "bmp"


class Colour(StrEnum):
    """The colour space that the scrubbed photo declares, or (UNKNOWN) could no longer declare."""

    SRGB = "srgb"  # also what no declaration means
    DISPLAY_P3 = "display-p3"
    ADOBE_RGB = "adobe-rgb"
    UNKNOWN = "unknown"  # a profile that we don't know was dropped


class Removed(StrEnum):
    """Kinds of removed bytes. Closed: what fits nothing else is UNKNOWN_SEGMENT."""

    EXIF = "exif"  # whole EXIF blocks; the three kinds below are counted here too when inside one
    GPS = "gps"  # the GPS directory inside EXIF, with its values
    MAKER_NOTE = "maker_note"  # the camera maker's own block inside EXIF
    THUMBNAIL = "thumbnail"  # a small second picture: in EXIF, JFIF, JFXX
    XMP = "xmp"  # XMP packets and extended XMP
    IPTC = "iptc"  # Photoshop image resources, which hold IPTC captions
    ICC = "icc"  # colour profiles and colour declarations; a known one returns in our canonical form
    COMMENT = "comment"  # JPEG COM, GIF comments
    TEXT = "text"  # PNG tEXt, zTXt, iTXt; GIF plain text
    TIME = "time"  # PNG tIME
    MPF = "mpf"  # the index of a multi-picture file; its pictures are TRAILER
    C2PA = "c2pa"  # JUMBF boxes, the container of C2PA manifests
    HINT = "hint"  # density, background, suggested palette, histogram: JFIF, pHYs, bKGD, …
    ANIMATION = "animation"  # frames after the first, and what times them
    TRAILER = "trailer"  # everything after the picture's end
    PADDING = "padding"  # fill bytes and unused bytes inside kept parts
    UNKNOWN_SEGMENT = "unknown_segment"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one photo.

    width, height:           pixels as stored, before orientation is applied.
    orientation:             1 to 8 as EXIF counts (1 is upright); of the photo as uploaded, since the tag is removed.
    has_alpha:               pixels may be transparent.
    removed:                 bytes per kind, with the framing of their segments; only kinds that occurred. GPS,
                             MAKER_NOTE and THUMBNAIL are also part of the block around them (EXIF, or JFIF's HINT).
    colour:                  see Colour.
    colour_profile_dropped:  a colour profile that we don't know was removed; colours may shift slightly.
    ai_generated:            the photo's XMP or C2PA manifest says that a trained model made it, wholly or in part
                             (IPTC digitalSourceType trainedAlgorithmicMedia or compositeWithTrainedAlgorithmicMedia).
    converted_from:          what the upload was, when it was re-encoded; ``format`` is then what became of it. A
                             Format where only its colour profile asked for that.
    """

    format: Format
    width: int
    height: int
    orientation: int
    has_alpha: bool
    removed: dict[Removed, int]
    colour: Colour
    colour_profile_dropped: bool
    ai_generated: bool
    converted_from: Source | Format | None = None
