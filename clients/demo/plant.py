"""Writes into a JPEG what a phone would: where, when, with which camera, by whom, and a second small picture.

So the demo can show that all of it is gone afterwards. Every value is plainly fictional: a spot in the middle of the
Atlantic, and names and serials that start with DEMO.
"""

from __future__ import annotations

import base64
import struct

_SOI = b"\xff\xd8"

# Texts are their own canaries: found in the file before the scrub, nowhere after it.
_MAKE = b"DEMO Camera Works"
_MODEL = b"DEMO-PHONE 1"
_SERIAL = b"DEMO-SERIAL-0420-1337"
_OWNER = b"DEMO-OWNER Jane Example"
_TAKEN = b"2031:02:03 04:05:06"
_MAKER_NOTE = b"DEMO-MAKERNOTE\0" + bytes(range(64, 128))
_CAPTION = b"DEMO-CAPTION Our daughter at six months"
_COMMENT = b"DEMO-COMMENT Taken in the garden"
_THUMBNAIL_NOTE = b"DEMO-THUMBNAIL"

# 41°13'37.42" N, 38°51'08.64" W: open sea between the Azores and Newfoundland.
_LATITUDE = struct.pack("<6I", 41, 1, 13, 1, 3742, 100)
_LONGITUDE = struct.pack("<6I", 38, 1, 51, 1, 864, 100)

_XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
 xmpMM:DocumentID="DEMO-DOCUMENT-ID"><dc:creator><rdf:Seq><rdf:li>DEMO-XMP Jane Example</rdf:li></rdf:Seq></dc:creator>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
_XMP_CREATOR = b"DEMO-XMP Jane Example"

# A 16 × 16 grey JPEG; the note is planted into it so that a search finds the thumbnail itself.
_SMALL_JPEG = base64.b64decode(
    "/9j/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71////m8H////6/+b9//j/wAALCAAQABABAREA"
    "/8QAFQABAQAAAAAAAAAAAAAAAAAABAL/xAAVEAEBAAAAAAAAAAAAAAAAAAADAP/aAAgBAQAAPwAInOE6BOcJ3//Z"
)

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 1, 2, 3, 4, 5, 7
_SIZES = {_BYTE: 1, _ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, _UNDEFINED: 1}
_Tag = tuple[int, int, bytes]  # tag, type, value (EXIF 3.0, 4.6)


def plant(base: bytes, *, orientation: int = 1) -> tuple[bytes, dict[str, bytes]]:
    """A JPEG with metadata of every usual kind planted, and the planted byte strings by name.

    ``base`` must start with SOI; its picture isn't touched. Raises ValueError for anything else.
    """
    if base[:2] != _SOI:
        raise ValueError("plant needs a JPEG")
    at = _after_jfif(base)
    planted = (
        _segment(0xE1, b"Exif\0\0" + exif(orientation=orientation))
        + _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + _XMP)
        + _segment(0xED, b"Photoshop 3.0\0" + iptc())
        + _segment(0xFE, _COMMENT)
    )
    return base[:at] + planted + base[at:], dict(CANARIES)


CANARIES: dict[str, bytes] = {
    "gps_latitude": _LATITUDE,
    "gps_longitude": _LONGITUDE,
    "camera_make": _MAKE,
    "camera_model": _MODEL,
    "camera_serial": _SERIAL,
    "camera_owner": _OWNER,
    "time_taken": _TAKEN,
    "maker_note": _MAKER_NOTE,
    "thumbnail": _THUMBNAIL_NOTE,
    "xmp": _XMP_CREATOR,
    "iptc_caption": _CAPTION,
    "comment": _COMMENT,
}


def thumbnail() -> bytes:
    return _SOI + _segment(0xFE, _THUMBNAIL_NOTE) + _SMALL_JPEG[2:]


def exif(*, orientation: int = 1) -> bytes:
    """A TIFF block: the picture's directory, EXIF's own, GPS, and the thumbnail's."""
    picture: list[_Tag] = [
        (0x010F, _ASCII, _MAKE + b"\0"),
        (0x0110, _ASCII, _MODEL + b"\0"),
        (0x0112, _SHORT, struct.pack("<H", orientation)),
        (0x8769, _LONG, bytes(4)),
        (0x8825, _LONG, bytes(4)),
    ]
    private: list[_Tag] = [
        (0x9000, _UNDEFINED, b"0232"),
        (0x9003, _ASCII, _TAKEN + b"\0"),
        (0x927C, _UNDEFINED, _MAKER_NOTE),
        (0xA430, _ASCII, _OWNER + b"\0"),
        (0xA431, _ASCII, _SERIAL + b"\0"),
    ]
    gps: list[_Tag] = [
        (0, _BYTE, bytes((2, 3, 0, 0))),
        (1, _ASCII, b"N\0"),
        (2, _RATIONAL, _LATITUDE),
        (3, _ASCII, b"W\0"),
        (4, _RATIONAL, _LONGITUDE),
    ]
    small = thumbnail()
    second: list[_Tag] = [
        (0x0103, _SHORT, struct.pack("<H", 6)),
        (0x0201, _LONG, bytes(4)),
        (0x0202, _LONG, struct.pack("<I", len(small))),
    ]
    starts = _starts(8, picture, private, gps, second)
    picture[3] = (0x8769, _LONG, struct.pack("<I", starts[1]))
    picture[4] = (0x8825, _LONG, struct.pack("<I", starts[2]))
    second[1] = (0x0201, _LONG, struct.pack("<I", starts[4]))
    return (
        struct.pack("<2sHI", b"II", 42, 8)
        + _directory(picture, starts[0], following=starts[3])
        + _directory(private, starts[1])
        + _directory(gps, starts[2])
        + _directory(second, starts[3])
        + small
    )


def iptc() -> bytes:
    """Photoshop's image resource 0x0404 with an IPTC caption (IIM 4.2, dataset 2:120)."""
    record = struct.pack(">BBBH", 0x1C, 2, 120, len(_CAPTION)) + _CAPTION
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record + bytes(len(record) % 2)


def _after_jfif(base: bytes) -> int:
    """JFIF wants to come first; everything else may follow in any order."""
    if base[2:4] == b"\xff\xe0":
        return 4 + int.from_bytes(base[4:6])
    return 2


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _starts(first: int, *directories: list[_Tag]) -> list[int]:
    """Offset of each directory when they follow one another, and of what follows the last."""
    starts = [first]
    for directory in directories:
        starts.append(starts[-1] + len(_directory(directory, 0)))
    return starts


def _directory(tags: list[_Tag], start: int, *, following: int = 0) -> bytes:
    """A TIFF directory at offset ``start``, then the values that don't fit into it."""
    values_at = start + 2 + 12 * len(tags) + 4
    table, values = struct.pack("<H", len(tags)), b""
    for tag, kind, value in tags:
        count = len(value) // _SIZES[kind]
        if len(value) <= 4:
            table += struct.pack("<HHI4s", tag, kind, count, value)
        else:
            table += struct.pack("<HHII", tag, kind, count, values_at + len(values))
            values += value + bytes(len(value) % 2)
    return table + struct.pack("<I", following) + values
