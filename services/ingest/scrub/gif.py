"""GIF (GIF89a specification): the first picture, in one canonical form, while it streams.

    GIF89a  screen  colour table  [graphic control: our form, for a transparent colour]  image  data  trailer

The one table that the picture uses becomes the global one. Later frames, comments, texts, application extensions (XMP,
loops, profiles) and whatever follows the trailer go. A first frame that leaves canvas bare is refused: what a decoder
shows there differs from one to the next.

What can't be known without decoding: table entries and codes that no pixel uses, and data after the last pixel.
"""

from __future__ import annotations

import struct

from services.ingest import refusals
from services.ingest.report import Colour, Removed
from services.ingest.scrub import icc
from services.ingest.scrub.gif_blocks import keep_blocks, next_blocks
from services.ingest.scrub.ledger import Ledger
from services.ingest.scrub.source import Source, Steps

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL, _COMMENT, _PLAIN_TEXT, _APPLICATION = 0xF9, 0xFE, 0x01, 0xFF
_TABLE_FLAG, _INTERLACED = 0x80, 0x40
_CONTROL_BYTES = 8  # a graphic control extension with its framing
_APPLICATIONS = {
    b"XMP DataXMP": Removed.XMP,
    b"ICCRGBG1012": Removed.ICC,
    b"C2PA_GIF\1\0\0": Removed.C2PA,
    b"NETSCAPE2.0": Removed.ANIMATION,
    b"ANIMEXTS1.0": Removed.ANIMATION,
}
_LABELS = {_COMMENT: Removed.COMMENT, _PLAIN_TEXT: Removed.TEXT}


class Gif:
    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source = source
        self._ledger = ledger
        self._control: bytes | None = None  # the last graphic control before the picture
        self._frames = 0

    def run(self) -> Steps[None]:
        head = yield from self._source.read(13)
        self._ledger.set_size(*struct.unpack("<HH", head[6:10]))
        table = yield from self._table(head[10])
        kind = yield from self._block()
        while kind == _EXTENSION:
            yield from self._extension()
            kind = yield from self._block()
        if kind != _IMAGE:
            raise refusals.malformed("a picture without pixels")
        yield from self._picture(table)
        while (kind := (yield from self._block())) != _TRAILER:
            yield from (self._extension() if kind == _EXTENSION else self._later_frame())
        self._drop_control()
        self._source.emit(b"\x3b")
        while not self._source.ended:
            self._ledger.remove(Removed.TRAILER, (yield from self._source.drain()))

    def _block(self) -> Steps[int]:
        kind = (yield from self._source.read(1))[0]
        self._ledger.segment()
        if kind not in (_EXTENSION, _IMAGE, _TRAILER):
            raise refusals.malformed("stray bytes between its blocks")
        return kind

    def _table(self, packed: int) -> Steps[bytes]:
        return (yield from self._source.read(3 << (packed & 7) + 1)) if packed & _TABLE_FLAG else b""

    def _count_frame(self) -> None:
        self._frames += 1
        if self._frames > self._ledger.limits.max_frames:
            raise refusals.too_many_frames(self._ledger.limits.max_frames)

    def _picture(self, table: bytes) -> Steps[None]:
        self._count_frame()
        place = yield from self._source.read(9)
        width, height = self._ledger.width, self._ledger.height
        if struct.unpack("<4H", place[:8]) != (0, 0, width, height):
            raise refusals.unsupported_coding("This GIF's first picture does not fill its canvas")
        if place[8] & _TABLE_FLAG:
            self._ledger.remove(Removed.PADDING, len(table))
            table = yield from self._table(place[8])
        if not table:
            raise refusals.malformed("its palette")
        code_size = (yield from self._source.read(1))[0]
        if not 2 <= code_size <= 8:
            raise refusals.malformed("its compressed data")
        self._ledger.settle_colour(self._source.position)
        size = (len(table) // 3).bit_length() - 2
        screen = struct.pack("<HHBBB", width, height, 0xF0 | size, 0, 0)
        image = struct.pack("<B4HBB", _IMAGE, 0, 0, width, height, place[8] & _INTERLACED, code_size)
        self._source.emit(b"GIF89a" + screen + table + self._transparency(code_size) + image)
        # A code has at most 12 bits and draws at least a pixel, unless it clears the table before one (appendix F).
        volume = yield from keep_blocks(self._source, self._ledger, 4 * width * height + 4096)
        if volume * 8 // (code_size + 1) * 4096 < width * height:
            raise refusals.truncated()

    def _transparency(self, code_size: int) -> bytes:
        """The graphic control that the picture needs: none, unless a pixel may have the transparent colour."""
        control = self._control
        if control is None or not control[0] & 1 or control[3] >> code_size:
            self._drop_control()
            return b""
        self._control = None
        self._ledger.has_alpha = True
        return bytes((_EXTENSION, _GRAPHIC_CONTROL, 4, 1, 0, 0, control[3], 0))

    def _drop_control(self) -> None:
        if self._control is not None:
            self._ledger.remove(Removed.ANIMATION, _CONTROL_BYTES)
            self._control = None

    def _later_frame(self) -> Steps[None]:
        start = self._source.position - 1
        self._count_frame()
        place = yield from self._source.read(9)
        yield from self._table(place[8])
        yield from self._source.skip(1)
        yield from self._skip_rest(Removed.ANIMATION, start)

    def _extension(self) -> Steps[None]:
        start = self._source.position - 1
        label, size = yield from self._source.read(2)
        head = yield from self._source.read(size)
        if label == _GRAPHIC_CONTROL:
            yield from self._graphic_control(head)
            return
        kind = _LABELS.get(label, Removed.UNKNOWN_SEGMENT)
        if label == _APPLICATION:
            kind = _APPLICATIONS.get(head, kind)
        if label == _PLAIN_TEXT:  # it is drawn as a picture of its own would be, and uses the control up
            self._drop_control()
        if size:
            yield from self._skip_rest(kind, start)
        else:  # an extension without data
            self._ledger.remove(kind, self._source.position - start)

    def _graphic_control(self, data: bytes) -> Steps[None]:
        if len(data) != 4 or (yield from self._source.read(1)) != b"\0":
            raise refusals.malformed("its graphic control")
        self._drop_control()
        self._control = data

    def _skip_rest(self, kind: Removed, start: int) -> Steps[None]:
        """Pass over the sub-blocks of what began at ``start``; look at those that may matter."""
        mark, profile, ended = self._ledger.mark(kind), b"", False
        while not ended:
            data, ended = yield from next_blocks(self._source, self._ledger, framed=kind is Removed.XMP)
            if mark is not None:
                mark.see(data, 0, len(data))
            if kind is Removed.ICC:
                profile += data[: self._ledger.limits.max_metadata_bytes - len(profile)]
        if kind is Removed.ICC:  # a GIF has no place for a profile of ours that decoders heed
            said = icc.recognise(profile)
            self._ledger.declare(said if said is Colour.SRGB else Colour.UNKNOWN)
        self._ledger.remove(kind, self._source.position - start)
