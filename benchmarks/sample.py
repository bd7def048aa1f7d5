"""The photos that are sent: made, with everything in them that a phone writes."""

from __future__ import annotations

from benchmarks.scrub_photos import encoded, photo
from clients.demo import plant

_GRAIN = 12.0
_QUALITY = 89


def photo_12mp() -> bytes:
    """A 4000 × 3000 JPEG of about 4 MB, with EXIF (GPS, serial, thumbnail), XMP, IPTC and a comment."""
    return plant.plant(encoded(photo(_GRAIN), "JPEG", quality=_QUALITY))[0]


def photo_24mb() -> bytes:
    """The same picture at so much noise that it takes about 24 MB: longer than everything that may be buffered."""
    return plant.plant(encoded(photo(60.0), "JPEG", quality=94, subsampling="4:4:4"))[0]


def photo_small() -> bytes:
    """A few KB: warms a mesh up without growing its memory."""
    return encoded(photo(0.0).reduce(20), "JPEG")
