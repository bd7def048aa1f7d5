"""Every reason for which ingest refuses a photo, and the one place that words them.

A message is one sentence that says what to do. It never carries a byte or a value of the photo; what it may carry
is a limit, which is ours.
"""

from __future__ import annotations

from enum import StrEnum

from mesh.errors import Invalid


class Reason(StrEnum):
    """The closed set of ``Invalid.reason`` that a scrub can raise. Stable: part of the API."""

    EMPTY_PHOTO = "EMPTY_PHOTO"  # no byte arrived
    UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"  # by content it is none that we take; the message names it
    UNSUPPORTED_CODING = "UNSUPPORTED_CODING"  # the right format in a variant that common decoders can't draw
    TRUNCATED_PHOTO = "TRUNCATED_PHOTO"  # the input ended before the picture did
    MALFORMED_PHOTO = "MALFORMED_PHOTO"  # the structure contradicts the format's specification
    PHOTO_TOO_LARGE = "PHOTO_TOO_LARGE"  # bytes, limit max_bytes
    DIMENSION_TOO_LARGE = "DIMENSION_TOO_LARGE"  # width or height in pixels, limit max_dimension
    TOO_MANY_PIXELS = "TOO_MANY_PIXELS"  # width × height, limit max_pixels
    TOO_MANY_SEGMENTS = "TOO_MANY_SEGMENTS"  # JPEG segments, PNG or WebP chunks, limit max_segments
    TOO_MANY_SCANS = "TOO_MANY_SCANS"  # scans of a progressive JPEG, limit max_scans
    TOO_MANY_FRAMES = "TOO_MANY_FRAMES"  # frames of an animation, limit max_frames


def empty() -> Invalid:
    return Invalid(Reason.EMPTY_PHOTO, "The photo is empty; send the file's bytes.", field="photo")


def unsupported(kind: str) -> Invalid:
    """``kind`` is one of sniff's own names with its article ("a PDF"), never text from the file."""
    return Invalid(Reason.UNSUPPORTED_FORMAT, f"This is {kind}; send a JPEG, PNG, WebP or GIF.", field="photo.format")


def unsupported_coding(what: str) -> Invalid:
    return Invalid(
        Reason.UNSUPPORTED_CODING, f"{what}; save the photo as an ordinary JPEG or PNG.", field="photo.coding"
    )


def truncated() -> Invalid:
    return Invalid(
        Reason.TRUNCATED_PHOTO, "The photo ends before its picture does; send the whole file.", field="photo"
    )


def malformed(what: str) -> Invalid:
    """``what`` names the broken part of the format ("its Huffman table"); constants of this package only."""
    return Invalid(
        Reason.MALFORMED_PHOTO, f"The photo is damaged ({what}); export it again and send that.", field="photo"
    )


def too_large(limit: int) -> Invalid:
    return Invalid(
        Reason.PHOTO_TOO_LARGE,
        f"The photo is larger than {limit} bytes; send a smaller one.",
        field="photo.bytes",
        limit=limit,
    )


def dimension_too_large(limit: int) -> Invalid:
    return Invalid(
        Reason.DIMENSION_TOO_LARGE,
        f"The photo is wider or higher than {limit} pixels; send a smaller one.",
        field="photo.dimension",
        limit=limit,
    )


def too_many_pixels(limit: int) -> Invalid:
    return Invalid(
        Reason.TOO_MANY_PIXELS,
        f"The photo has more than {limit} pixels; send a smaller one.",
        field="photo.pixels",
        limit=limit,
    )


def too_many_segments(limit: int) -> Invalid:
    return Invalid(
        Reason.TOO_MANY_SEGMENTS,
        f"The photo's file has more than {limit} parts; export it again and send that.",
        field="photo.segments",
        limit=limit,
    )


def too_many_scans(limit: int) -> Invalid:
    return Invalid(
        Reason.TOO_MANY_SCANS,
        f"The photo is stored in more than {limit} scans; save it as an ordinary JPEG.",
        field="photo.scans",
        limit=limit,
    )


def too_many_frames(limit: int) -> Invalid:
    return Invalid(
        Reason.TOO_MANY_FRAMES,
        f"The animation has more than {limit} frames; send a still photo.",
        field="photo.frames",
        limit=limit,
    )
