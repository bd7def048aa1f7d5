"""What a file carries besides its picture, by kind; of a value, only IPTC's digital source type is read."""

from __future__ import annotations

import re

from PIL import ExifTags, Image

from clients.inspecting.report import Metadata

# As an attribute or an element (XMP part 1, 7.9.2.2); a value of the vocabulary, or whatever is written in its place.
_SOURCE_TYPE = re.compile(rb"DigitalSourceType(?:\s*=\s*[\"']|\s*>\s*)([^\"'<]{1,200})")
_TIMES = (ExifTags.Base.DateTime, ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)
_THUMBNAIL = 0x0201  # JPEGInterchangeFormat, in the second IFD (EXIF 3.0, 4.6.9)


def read(image: Image.Image) -> Metadata:
    """image: opened, not necessarily loaded."""
    exif = image.getexif()
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    xmp = image.info.get("xmp") or b""
    packet = xmp if isinstance(xmp, bytes) else str(xmp).encode()
    found = _SOURCE_TYPE.search(packet)
    named = found.group(1).decode("utf-8", "replace").rpartition("/")[2] if found else ""
    return Metadata(
        source_type=named if named.isprintable() else "?",
        exif=bool(exif),
        gps=bool(exif.get_ifd(ExifTags.IFD.GPSInfo)),
        times=any(tag in exif or tag in inner for tag in _TIMES),
        thumbnail=_THUMBNAIL in exif.get_ifd(ExifTags.IFD.IFD1),
        xmp=bool(packet),
        iptc="photoshop" in image.info,
        colour_profile="icc_profile" in image.info,
        comment="comment" in image.info,
    )
