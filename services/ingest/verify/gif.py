"""What a scrubbed GIF may be (GIF89a specification):

GIF89a  screen  table  [graphic control: nothing but a transparent colour]  image  blocks of 255…  a last one  0  3B
"""

from __future__ import annotations

import struct

from services.ingest.report import Format
from services.ingest.verify.disagreement import require
from services.ingest.verify.drawing import Drawing
from services.ingest.verify.tape import Tape

_BLOCK = 256  # a full block with its length


class Gif:
    def __init__(self, tape: Tape) -> None:
        self.drawing = Drawing(Format.GIF)
        self._tape = tape
        self._transparent = -1
        self._code_size = 0
        self._volume = 0
        tape.read(12, self._screen)

    def _screen(self, rest: bytes) -> None:
        signature, width, height, packed, background, aspect = struct.unpack("<5sHHBBB", rest)
        require(signature == b"IF89a", "the signature")
        require(width > 0 and height > 0 and packed & 0xF8 == 0xF0 and background == aspect == 0, "the screen")
        self.drawing.width, self.drawing.height = width, height
        self._tape.read(3 * 2 ** (1 + packed % 8), self._table)

    def _table(self, _colours: bytes) -> None:
        self._tape.read(1, self._introducer)

    def _introducer(self, code: bytes) -> None:
        if code == b"\x21" and not self.drawing.has_alpha:
            self._tape.read(7, self._control)
        else:
            require(code == b"\x2c", "a block that may not be there")
            self._tape.read(10, self._image)

    def _control(self, data: bytes) -> None:
        require(data[:5] == b"\xf9\4\1\0\0" and data[6] == 0, "the graphic control")
        self.drawing.has_alpha, self._transparent = True, data[5]
        self._tape.read(1, self._introducer)

    def _image(self, data: bytes) -> None:
        left, top, width, height, packed, self._code_size = struct.unpack("<4HBB", data)
        require((left, top, width, height) == (0, 0, self.drawing.width, self.drawing.height), "the image")
        require(packed in (0x00, 0x40) and 2 <= self._code_size <= 8, "the image")
        require(self._transparent < 1 << self._code_size, "the graphic control")
        self._tape.read(1, self._block)

    def _block(self, length: bytes) -> None:
        size = length[0]
        if size == 0:
            self._end(b"\0")
        elif size == _BLOCK - 1:
            self._tape.watch(size, self._count, self._full)
        else:
            self._tape.watch(size, self._count, self._last)

    def _full(self) -> None:
        """At the start of a block: whole full ones pass together."""
        self._tape.take(self._run)

    def _run(self, view: memoryview) -> int:
        """The lengths of full blocks stand 256 bytes apart."""
        whole = len(view) // _BLOCK
        lengths = bytes(view[: whole * _BLOCK : _BLOCK])
        full = whole - len(lengths.lstrip(b"\xff"))
        self._volume += full * (_BLOCK - 1)
        if full < whole or len(view) % _BLOCK:
            self._tape.read(1, self._block)
        return full * _BLOCK

    def _last(self) -> None:
        self._tape.read(1, self._end)

    def _end(self, terminator: bytes) -> None:
        pixels = self.drawing.width * self.drawing.height
        require(terminator == b"\0", "a short block before the last")
        require(self._volume <= 4 * pixels + 4096, "more data than the picture can need")
        require(self._volume * 8 // (self._code_size + 1) * 4096 >= pixels, "a picture that is not all there")
        self._tape.read(1, self._trailer)

    def _trailer(self, code: bytes) -> None:
        require(code == b"\x3b", "the trailer")
        self._tape.close()

    def _count(self, view: memoryview) -> None:
        self._volume += len(view)
