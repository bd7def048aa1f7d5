"""What the demo's tables say, in words for somebody who has never heard of EXIF."""

from __future__ import annotations

KINDS = {
    "exif": "camera data (EXIF): camera, owner, serial number, time",
    "gps": "the place where it was taken (GPS)",
    "maker_note": "the camera maker's private notes",
    "thumbnail": "a second, small picture",
    "xmp": "editing history and author (XMP)",
    "iptc": "caption (IPTC)",
    "icc": "colour profile",
    "comment": "comment",
    "text": "text notes",
    "time": "time of the last change",
    "mpf": "index of further pictures",
    "c2pa": "record of origin (C2PA)",
    "hint": "print and display hints",
    "animation": "further frames",
    "trailer": "bytes hidden behind the picture",
    "padding": "filler bytes",
    "unknown_segment": "parts that nobody could name",
}
INSIDE = {"gps": "exif", "maker_note": "exif", "thumbnail": "exif"}
"""Kinds that lie inside another kind's bytes."""

SERVICES = {
    "gateway": "passes the photo on, and the picture back",
    "ingest": "removes the metadata",
    "render": "paints the picture",
    "purge": "keeps the register, and signs the receipt",
}


def kind(name: str) -> str:
    return KINDS.get(name, name.replace("_", " "))


def duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
