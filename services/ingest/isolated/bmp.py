"""BMP: its one header (Microsoft's BITMAPFILEHEADER and the versions of BITMAPINFOHEADER)."""

from __future__ import annotations

import struct

from mesh.isolation.outcome import Refused
from services.ingest.isolated import codes
from services.ingest.isolated.survey import Survey
from services.ingest.report import Removed

_COMPRESSIONS = frozenset({0, 1, 2, 3, 6})  # none, RLE8, RLE4, bit fields; not embedded JPEG and PNG


def survey(data: memoryview) -> Survey:
    found = Survey()
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height, _, _, compression, image = struct.unpack_from("<iiHHII", data, 18)
        if compression not in _COMPRESSIONS:
            raise Refused(codes.CODING)
        (start,) = struct.unpack_from("<I", data, 10)
        if image and start + image < len(data):
            found.remove(Removed.TRAILER, len(data) - start - image)
        if header == 124:
            (profile,) = struct.unpack_from("<I", data, 14 + 116)
            found.remove(Removed.ICC, min(profile, len(data)))
    found.sizes.append((width, abs(height)))
    return found
