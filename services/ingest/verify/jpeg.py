"""What a scrubbed JPEG may be (ITU-T T.81, annex B; the order is our own):

    SOI  [APP2: a profile of ours]  [APP14: Adobe's flag]  DQT…  SOF  ( [DQT… (DHT… | DAC…) DRI]  SOS  data )…  EOI

One table a segment, in ascending order, each read by the scan that follows it and different from what the decoder
already had. Tables and scans are checked in ``jpeg_tables`` and ``jpeg_scans``.
"""

from __future__ import annotations

import re

from services.ingest.report import Format
from services.ingest.verify.disagreement import Disagreement, require
from services.ingest.verify.drawing import Drawing
from services.ingest.verify.jpeg_scans import Picture, Scan
from services.ingest.verify.jpeg_tables import Decoder
from services.ingest.verify.profiles import space_of
from services.ingest.verify.tape import Tape

_APP2, _APP14 = 0xE2, 0xEE
_EOI, _SOS = 0xD9, 0xDA
_DQT, _DHT, _DAC, _DRI = 0xDB, 0xC4, 0xCC, 0xDD
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
_RANK = {_APP2: 0, _APP14: 1, _DQT: 2, **dict.fromkeys(_FRAMES, 3)}  # the order before the first scan

# A 0xFF that isn't a data byte; at the end of a piece, the byte after it is still to come.
_MARK = re.compile(rb"\xff(?!\x00)")
_MARK_BUT_RST = re.compile(rb"\xff(?![\x00\xd0-\xd7])")


class Jpeg:
    def __init__(self, tape: Tape) -> None:
        self.drawing = Drawing(Format.JPEG)
        self._tape = tape
        self._rank = -1
        self._code = 0
        self._app14: int | None = None
        self._decoder = Decoder()
        self._picture: Picture | None = None
        self._scan: Scan | None = None
        self._data_from = 0
        tape.read(1, self._begun)

    def _begun(self, rest: bytes) -> None:
        require(rest == b"\xd8", "the signature")
        self._next()

    def _next(self) -> None:
        self._tape.read(2, self._marker)

    def _marker(self, pair: bytes) -> None:
        require(pair[0] == 0xFF, "bytes between segments")
        self._code = pair[1]
        if self._code == _EOI:
            require(self._scan is not None and self._decoder.idle, "the end")
            require(self._picture is not None and self._picture.complete, "a component that was never sent")
            self._tape.close()
            return
        if self._picture is None:
            rank = _RANK.get(self._code, -1)
            require(rank > self._rank or rank == self._rank == _RANK[_DQT], "the order of segments")
            self._rank = rank
        else:
            require(self._code in (_DQT, _DHT, _DAC, _DRI, _SOS), "a segment that may not be there")
        self._tape.read(2, self._length)

    def _length(self, length: bytes) -> None:
        size = int.from_bytes(length) - 2
        require(size > 0, "the length of a segment")
        self._tape.read(size, self._segment)

    def _segment(self, payload: bytes) -> None:
        if self._code == _APP2:
            self._profile(payload)
        elif self._code == _APP14:
            require(len(payload) == 12 and payload[:11] == b"Adobe\0\x64\0\0\0\0" and payload[11] < 3, "APP14")
            self._app14 = payload[11]
        elif self._code in _FRAMES:
            self._frame(payload)
        elif self._code == _SOS:
            self._begin_scan(payload)
            return
        else:
            self._decoder.take(self._code, payload)
        self._next()

    def _profile(self, payload: bytes) -> None:
        require(payload[:14] == b"ICC_PROFILE\0\1\1", "APP2")
        self.drawing.profile = space_of(payload[14:])
        require(self.drawing.profile is not None, "a colour profile that is not ours")

    def _frame(self, payload: bytes) -> None:
        self._picture = picture = Picture(self._code, payload)
        self.drawing.width, self.drawing.height = picture.width, picture.height
        flags = {1: (), 3: (0, 1), 4: (0, 2)}[len(picture.parts)]
        require(self._app14 is None or self._app14 in flags, "APP14")
        require(self.drawing.profile is None or len(picture.parts) == 3, "a colour profile that does not fit")
        self._decoder.framed(picture)

    def _begin_scan(self, payload: bytes) -> None:
        if self._picture is None:
            raise Disagreement("a scan before its frame")
        self._scan = self._picture.scan(payload)
        self._decoder.scanned(self._scan, arithmetic=self._picture.arithmetic)
        self._data_from = self._tape.offset + len(payload)  # at most: the payload may have begun in an earlier piece
        self._data()

    def _data(self) -> None:
        self._tape.hunt(_MARK_BUT_RST if self._decoder.restarts else _MARK, self._marked)

    def _marked(self) -> None:
        self._tape.read(2, self._after_data)

    def _after_data(self, pair: bytes) -> None:
        """A piece may have ended between 0xFF and the 0x00 or RST that make it data."""
        if pair[1] == 0 or (self._decoder.restarts and 0xD0 <= pair[1] <= 0xD7):
            self._data()
            return
        if self._picture is not None and self._scan is not None:
            self._picture.check_volume(self._scan, self._tape.offset - self._data_from)
        self._marker(pair)
