"""Facts about a photo as protobuf."""

from __future__ import annotations

from mayfly.photo.v1 import photo_pb2 as pb
from services.ingest.report import Colour, Facts, Format

_FORMATS = {
    Format.JPEG: pb.PHOTO_FORMAT_JPEG,
    Format.PNG: pb.PHOTO_FORMAT_PNG,
    Format.WEBP: pb.PHOTO_FORMAT_WEBP,
    Format.GIF: pb.PHOTO_FORMAT_GIF,
}
_COLOURS = {
    Colour.SRGB: pb.COLOR_SPACE_SRGB,
    Colour.DISPLAY_P3: pb.COLOR_SPACE_DISPLAY_P3,
    Colour.ADOBE_RGB: pb.COLOR_SPACE_ADOBE_RGB,
    Colour.UNKNOWN: pb.COLOR_SPACE_ASSUMED_SRGB,
}


def scrubbed_header(facts: Facts) -> pb.ScrubbedHeader:
    """What render and the client are told."""
    return pb.ScrubbedHeader(
        format=_FORMATS[facts.format],
        width=facts.width,
        height=facts.height,
        orientation=facts.orientation,
        has_alpha=facts.has_alpha,
        color_space=_COLOURS[facts.colour],
        ai_generated=facts.ai_generated,
        converted_from=facts.converted_from.value if facts.converted_from else "",
        removed=[
            pb.RemovedMetadata(kind=kind.value, byte_count=count) for kind, count in sorted(facts.removed.items())
        ],
    )
