"""What a canary says besides its picture: random bytes in each place that a photo has for metadata."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageCms

_CJK = (0x4E00, 0x9FFF)  # in UTF-16 neither byte of these is zero
_COPYRIGHT = "No copyright, use freely".encode("utf-16-be")  # what lcms2 writes into the profiles that it makes


@dataclass(frozen=True, slots=True)
class Secrets:
    """exif: camera, artist, maker's note and place. xmp: a packet. comment, trailer: bytes. icc: an sRGB profile."""

    exif: bytes
    xmp: bytes
    comment: bytes
    icc: bytes
    trailer: bytes


def make(random: np.random.Generator) -> Secrets:
    return Secrets(_exif(random), _xmp(random), _text(random, 300).encode(), _icc(random), random.bytes(900))


def _text(random: np.random.Generator, size: int) -> str:
    return base64.b64encode(random.bytes(size)).decode()


def _exif(random: np.random.Generator) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = _text(random, 300)
    exif[ExifTags.Base.Artist] = _text(random, 60)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = random.bytes(1500)
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSProcessingMethod] = random.bytes(80)
    return exif.tobytes()


def _xmp(random: np.random.Generator) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="'
        f'{_text(random, 900)}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def _icc(random: np.random.Generator) -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    words = "".join(map(chr, random.integers(*_CJK, len(_COPYRIGHT) // 2))).encode("utf-16-be")
    return profile.replace(_COPYRIGHT, words)
