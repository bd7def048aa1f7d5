"""What a scrubbed PNG may be (PNG specification, 3rd edition):

signature  IHDR  [sRGB | iCCP: a profile of ours]  [PLTE]  [tRNS]  IDAT…  IEND
"""

from __future__ import annotations

import struct
import zlib

from services.ingest.report import Colour, Format
from services.ingest.verify.disagreement import Disagreement, require
from services.ingest.verify.drawing import Drawing
from services.ingest.verify.png_rows import Shape
from services.ingest.verify.profiles import space_of
from services.ingest.verify.tape import Tape

_RANK = {b"IHDR": 0, b"sRGB": 1, b"iCCP": 1, b"PLTE": 2, b"tRNS": 3, b"IDAT": 4, b"IEND": 5}
_IEND_CRC = 0xAE426082
_PROFILE_NAME = b"ICC\0\0"  # the name, its end, compression method 0


class Png:
    def __init__(self, tape: Tape) -> None:
        self.drawing = Drawing(Format.PNG)
        self._tape = tape
        self._shape: Shape | None = None
        self._kind = b""
        self._crc = 0
        self._colours = 0  # entries of the palette
        self._idat = 0  # bytes of the compressed picture so far
        self._zlib_head = b""
        tape.read(7, self._begun)

    def _begun(self, rest: bytes) -> None:
        require(rest == b"PNG\r\n\x1a\n", "the signature")
        self._next()

    def _next(self) -> None:
        self._tape.read(8, self._chunk)

    def _chunk(self, framing: bytes) -> None:
        size, kind = int.from_bytes(framing[:4]), framing[4:]
        before, rank = _RANK.get(self._kind, -1), _RANK.get(kind, -1)
        require(rank > before or rank == before == _RANK[b"IDAT"], "the order of chunks")
        require(before >= 0 or kind == b"IHDR", "the order of chunks")
        require(kind != b"IEND" or (self._kind == b"IDAT" and size == 0), "the end")
        self._kind, self._crc = kind, zlib.crc32(kind)
        if kind == b"IDAT":
            self._tape.watch(size, self._pixels, self._to_crc)
        elif kind == b"IEND":
            self._to_crc()
        else:
            self._tape.read(size, self._data)

    def _to_crc(self) -> None:
        self._tape.read(4, self._checksum)

    def _pixels(self, view: memoryview) -> None:
        self._crc = zlib.crc32(view, self._crc)
        self._idat += len(view)
        if len(self._zlib_head) < 2:
            self._zlib_head += bytes(view[: 2 - len(self._zlib_head)])

    def _data(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        if self._kind == b"IHDR":
            self._header(data)
        elif self._kind == b"sRGB":
            require(data == b"\0", "sRGB")
        elif self._kind == b"iCCP":
            self._profile(data)
        elif self._kind == b"PLTE":
            self._palette(data)
        else:
            self._transparency(data)
        self._to_crc()

    def _checksum(self, stated: bytes) -> None:
        require(int.from_bytes(stated) == self._crc, "a checksum")
        if self._kind != b"IEND":
            self._next()
            return
        shape = self._known_shape()
        require(self._crc == _IEND_CRC, "the end")
        require(self._colours > 0 or not shape.indexed, "the palette")
        shape.check_stream(self._zlib_head, self._idat)
        self._tape.close()

    def _header(self, data: bytes) -> None:
        self._shape = shape = Shape(data)
        self.drawing.width, self.drawing.height = shape.width, shape.height
        self.drawing.has_alpha = shape.has_alpha

    def _known_shape(self) -> Shape:
        if self._shape is None:
            raise Disagreement("the order of chunks")
        return self._shape

    def _profile(self, data: bytes) -> None:
        """The one way to write one of our profiles: deflate could spell the same in many ways, and so say more."""
        require(data.startswith(_PROFILE_NAME) and self._known_shape().coloured, "iCCP")
        try:
            profile = zlib.decompressobj().decompress(data[len(_PROFILE_NAME) :], 4096)
        except zlib.error:
            raise Disagreement("iCCP") from None
        space: Colour | None = space_of(profile)
        require(space is not None, "a colour profile that is not ours")
        require(zlib.compress(profile, 9) == data[len(_PROFILE_NAME) :], "iCCP")
        self.drawing.profile = space

    def _palette(self, data: bytes) -> None:
        shape = self._known_shape()
        self._colours, rest = divmod(len(data), 3)
        require(shape.indexed and rest == 0 and 0 < self._colours <= 1 << shape.depth, "the palette")

    def _transparency(self, data: bytes) -> None:
        shape = self._known_shape()
        if shape.indexed:
            require(0 < len(data) <= self._colours, "the transparency")
        else:
            count = {0: 1, 2: 3}.get(shape.kind, 0)
            require(count > 0 and len(data) == 2 * count, "the transparency")
            require(max(struct.unpack(f">{count}H", data)) < 1 << shape.depth, "the transparency")
        self.drawing.has_alpha = True
