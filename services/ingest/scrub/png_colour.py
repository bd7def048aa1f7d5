"""What a PNG says about its colour space, and the canonical way to say it again.

Four chunks compete; the order of precedence is that of PNG 3rd edition, section 4.3: cICP, iCCP, sRGB, gAMA with
cHRM. Each could carry bytes that no picture needs, so none is passed on: the answer is one of three constants.
"""

from __future__ import annotations

import struct
import zlib

from services.ingest.report import Colour
from services.ingest.scrub import icc
from services.ingest.scrub.png_chunks import chunk

READ = frozenset({b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})

# ITU-T H.273 colour primaries and transfer characteristics, RGB, full range.
_CICP = {b"\x01\x0d\0\x01": Colour.SRGB, b"\x0c\x0d\0\x01": Colour.DISPLAY_P3}
# cHRM: white, red, green, blue as x, y in 1/100,000 (section 11.3.2.1).
_CHROMATICITIES = {
    Colour.SRGB: (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    Colour.DISPLAY_P3: (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000),
    Colour.ADOBE_RGB: (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000),
}
_TOLERANCE = 500
_GAMMA = range(44000, 47001)  # around 1/2.2, which also stands for sRGB's curve (section 11.3.2.2)


class PngColour:
    """Collects the colour chunks; each is at most a metadata block's bound long."""

    def __init__(self, max_profile_bytes: int) -> None:
        self._max = max_profile_bytes
        self._said: dict[bytes, bytes] = {}

    def read(self, kind: bytes, data: bytes) -> None:
        """The first chunk of each kind counts."""
        self._said.setdefault(kind, data)

    def said(self, canonical: bytes) -> bool:
        """The file already held exactly this chunk."""
        return any(chunk(kind, data) == canonical for kind, data in self._said.items())

    @property
    def by_profile(self) -> bool:
        """It is a profile that ``verdict`` judges."""
        return b"iCCP" in self._said and b"cICP" not in self._said

    def verdict(self) -> Colour | None:
        """None when the file says nothing."""
        said = self._said
        if b"cICP" in said:
            return _CICP.get(said[b"cICP"], Colour.UNKNOWN)
        if b"iCCP" in said:
            return icc.recognise(self._inflated(said[b"iCCP"]))
        if b"sRGB" in said:
            return Colour.SRGB
        if b"gAMA" in said or b"cHRM" in said:
            return self._measured()
        return None

    def _inflated(self, data: bytes) -> bytes:
        """The beginning of the profile; never more than the bound, whatever the data would inflate to."""
        name, _, rest = data.partition(b"\0")
        if len(name) > 79 or rest[:1] != b"\0":
            return b""
        try:
            return zlib.decompressobj().decompress(rest[1:], self._max)
        except zlib.error:
            return b""

    def _measured(self) -> Colour:
        gamma = self._said.get(b"gAMA", b"\0\0\xb1\x8f")
        if len(gamma) != 4 or int.from_bytes(gamma) not in _GAMMA:
            return Colour.UNKNOWN
        points = self._said.get(b"cHRM")
        if points is None:
            return Colour.SRGB
        if len(points) != 32:
            return Colour.UNKNOWN
        measured = struct.unpack(">8I", points)
        for colour, exact in _CHROMATICITIES.items():
            if all(abs(a - b) <= _TOLERANCE for a, b in zip(measured, exact, strict=True)):
                return colour
        return Colour.UNKNOWN


def canonical(colour: Colour) -> bytes:
    """The chunk that says ``colour``; nothing where it can't be said."""
    if colour is Colour.SRGB:
        return chunk(b"sRGB", b"\0")
    if colour in icc.OURS:
        return chunk(b"iCCP", b"ICC\0\0" + zlib.compress(icc.profile(colour), 9))
    return b""
