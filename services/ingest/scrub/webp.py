"""WebP (RFC 9649): only what draws the picture, while it streams.

    RIFF  VP8 | VP8L                                  when the picture needs no more
    RIFF  VP8X  [ICCP: ours]  [ALPH]  VP8 | VP8L      for alpha beside VP8, or a colour profile of ours

RIFF states its size first, and metadata to be removed may follow the picture. The size is known in time nevertheless: a
picture of one chunk states its own length. Of ALPH and VP8 only the first length is known, so an ALPH chunk of at most
``max_metadata_bytes`` is held until the second arrives. A longer one passes at once: then the output is declared as
long as the rest of the input's container, and what was removed there is made up for by a chunk of zeros (JUNK, RIFF's
own filler). So memory stays bounded and the size is right; files without trailing metadata get no filler.

Of an animation the first frame is kept, if it covers the canvas.
"""

from __future__ import annotations

import struct

from services.ingest import refusals
from services.ingest.report import Removed
from services.ingest.scrub import icc
from services.ingest.scrub.ledger import Ledger
from services.ingest.scrub.source import Source, Steps
from services.ingest.scrub.webp_frame import (
    VP8_HEADER,
    VP8L_HEADER,
    Pixels,
    check_volume,
    parse_alpha,
    parse_vp8,
    parse_vp8l,
)

_ICC_FLAG, _ALPHA_FLAG, _ANIMATION_FLAG = 0x20, 0x10, 0x02
_REMOVED = {
    b"EXIF": Removed.EXIF,
    b"XMP ": Removed.XMP,
    b"ICCP": Removed.ICC,
    b"C2PA": Removed.C2PA,
    b"ANIM": Removed.ANIMATION,
    b"ANMF": Removed.ANIMATION,
    b"JUNK": Removed.PADDING,
}
_PICTURE = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"VP8X"})
_ZEROS = bytes(64 * 1024)


class Webp:
    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source = source
        self._ledger = ledger
        self._canvas: tuple[int, int] | None = None  # None: a simple file, without VP8X
        self._animated = False
        self._frames = 0
        self._alpha = b""  # a held ALPH chunk's payload
        self._promised = False  # the output's size was declared before the picture's was known
        self._owed = 0  # bytes of that size still to come
        self._drawn = False

    def run(self) -> Steps[None]:
        head = yield from self._source.read(12)
        end = 8 + int.from_bytes(head[4:8], "little")
        if end > self._ledger.limits.max_bytes:
            raise refusals.too_large(self._ledger.limits.max_bytes)
        yield from self._first(end)
        yield from self._draw(end)
        yield from self._rest(end)
        while not self._source.ended:
            self._ledger.remove(Removed.TRAILER, (yield from self._source.drain()))

    def _chunk(self, end: int) -> Steps[tuple[bytes, int]]:
        """FourCC and payload length of the next chunk, which must lie within the container that ends at ``end``."""
        if end - self._source.position < 8:
            raise refusals.malformed("a picture without pixels")
        head = yield from self._source.read(8)
        self._ledger.segment()
        size = int.from_bytes(head[4:], "little")
        if size > end - self._source.position:
            raise refusals.malformed("a chunk's length")
        return head[:4], size

    def _pad(self, size: int, end: int) -> Steps[None]:
        """Chunks of odd length are followed by a byte that says nothing; some writers forget the last one."""
        if size % 2 and self._source.position < end:
            yield from self._source.skip(1)

    def _first(self, end: int) -> Steps[None]:
        kind, size = yield from self._chunk(end)
        if kind != b"VP8X":
            if kind not in (b"VP8 ", b"VP8L"):
                raise refusals.malformed("its first chunk")
            yield from self._picture(kind, size, end)
            return
        if size != 10:
            raise refusals.malformed("its header's length")
        payload = yield from self._source.read(size)
        width, height = (1 + int.from_bytes(payload[i : i + 3], "little") for i in (4, 7))
        self._ledger.set_size(width, height)
        self._canvas = width, height
        self._animated = bool(payload[0] & _ANIMATION_FLAG)

    def _draw(self, end: int, *, inside_frame: bool = False) -> Steps[None]:
        """Up to and including the picture."""
        while not self._drawn:
            kind, size = yield from self._chunk(end)
            if kind == b"ANMF" and self._animated and not inside_frame:
                yield from self._first_frame(size, end)
            elif kind == b"ALPH" and not self._alpha and not self._promised:
                yield from self._transparency(size, end)
            elif kind in _PICTURE:
                if self._animated and not inside_frame:
                    raise refusals.malformed("a still picture inside an animation")
                yield from self._picture(kind, size, end)
            else:
                yield from self._remove(kind, size, end)

    def _rest(self, end: int) -> Steps[None]:
        """The container after the picture."""
        while end - self._source.position >= 8:
            kind, size = yield from self._chunk(end)
            if kind in _PICTURE:
                raise refusals.malformed("a second picture inside it")
            yield from self._remove(kind, size, end)
        stray = max(0, end - self._source.position)
        self._ledger.remove(Removed.PADDING, stray)
        yield from self._source.skip(stray)
        self._fill()

    def _first_frame(self, size: int, container_end: int) -> Steps[None]:
        """ANMF (RFC 9649, 2.7.1.1): a frame's place on the canvas, then its chunks."""
        end = self._source.position + size
        if size < 16:
            raise refusals.malformed("a chunk's length")
        place = yield from self._source.read(16)
        x, y, width, height = (int.from_bytes(place[i : i + 3], "little") for i in (0, 3, 6, 9))
        if (x, y) != (0, 0) or (width + 1, height + 1) != self._canvas:
            raise refusals.unsupported_coding("This animation's first frame doesn't fill the picture")
        self._frames += 1
        self._ledger.remove(Removed.ANIMATION, 24)
        yield from self._draw(end, inside_frame=True)
        yield from self._rest(end)
        yield from self._pad(size, container_end)

    def _transparency(self, size: int, end: int) -> Steps[None]:
        if self._canvas is None or size < 1:
            raise refusals.malformed("its transparency")
        check_volume(b"ALPH", size, self._canvas[0] * self._canvas[1])
        first = yield from self._source.read(1)
        header = parse_alpha(first[0], size, *self._canvas)
        self._ledger.has_alpha = True
        if size <= self._ledger.limits.max_metadata_bytes:
            self._alpha = header + (yield from self._source.read(size - 1))
            yield from self._pad(size, end)
            return
        # Too long to hold: promise that everything up to the container's end follows, and keep that with filler.
        self._promised = True
        after = end - (self._source.position + size - 1 + size % 2)
        self._owed = _even(after)
        self._ledger.settle_colour(self._source.position)
        extended = self._extended(has_alpha=True)
        self._source.emit(_riff(len(extended) + 8 + _even(size) + self._owed) + extended)
        self._source.emit(_header(b"ALPH", size) + header)
        yield from self._source.copy(size - 1)
        if size % 2:
            self._source.emit(b"\0")
        yield from self._pad(size, end)

    def _picture(self, kind: bytes, size: int, end: int) -> Steps[None]:
        pixels = yield from self._pixels(kind, size)
        if self._canvas is None:
            self._ledger.set_size(pixels.width, pixels.height)
        elif self._canvas != (pixels.width, pixels.height):
            raise refusals.malformed("two sizes for one picture")
        check_volume(kind, size, pixels.width * pixels.height)
        self._ledger.has_alpha = self._ledger.has_alpha or pixels.has_alpha
        self._drawn = True
        if self._promised:
            self._owed -= 8 + _even(size)
        else:
            self._ledger.settle_colour(self._source.position)
            before = self._before(pixels)
            self._source.emit(_riff(len(before) + 8 + _even(size)) + before)
            self._alpha = b""
        self._source.emit(_header(kind, size) + pixels.header)
        yield from self._source.copy(size - len(pixels.header))
        if size % 2:
            self._source.emit(b"\0")
        yield from self._pad(size, end)

    def _pixels(self, kind: bytes, size: int) -> Steps[Pixels]:
        if kind == b"VP8 " and size >= VP8_HEADER:
            return parse_vp8((yield from self._source.read(VP8_HEADER)), size)
        if kind == b"VP8L" and size >= VP8L_HEADER and not self._alpha and not self._promised:
            return parse_vp8l((yield from self._source.read(VP8L_HEADER)))
        raise refusals.malformed("its picture chunk")

    def _before(self, pixels: Pixels) -> bytes:
        """What stands between RIFF's header and the picture chunk."""
        alpha = _header(b"ALPH", len(self._alpha)) + self._alpha + bytes(len(self._alpha) % 2) if self._alpha else b""
        if not alpha and self._profile() == b"":
            return b""
        return self._extended(has_alpha=self._ledger.has_alpha, size=(pixels.width, pixels.height)) + alpha

    def _extended(self, *, has_alpha: bool, size: tuple[int, int] | None = None) -> bytes:
        width, height = size or self._canvas or (1, 1)
        profile = self._profile()
        flags = (_ICC_FLAG if profile else 0) | (_ALPHA_FLAG if has_alpha else 0)
        canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        return _header(b"VP8X", 10) + bytes((flags, 0, 0, 0)) + canvas + profile

    def _profile(self) -> bytes:
        colour = self._ledger.colour
        if colour not in icc.OURS:
            return b""
        profile = icc.profile(colour)
        return _header(b"ICCP", len(profile)) + profile + bytes(len(profile) % 2)

    def _remove(self, kind: bytes, size: int, end: int) -> Steps[None]:
        removed = _REMOVED.get(kind, Removed.UNKNOWN_SEGMENT)
        self._ledger.remove(removed, size + 8)
        if kind == b"ANMF":
            self._count_frame()
        head = b""
        if kind == b"EXIF" or (kind == b"ICCP" and not self._drawn):
            head = yield from self._source.read(min(size, self._ledger.limits.max_metadata_bytes))
        if kind == b"EXIF":
            self._ledger.exif(head.removeprefix(b"Exif\0\0"))
        elif head:
            self._ledger.profile(head, size + 8)
        yield from self._source.skip(size - len(head), self._ledger.mark(removed))
        yield from self._pad(size, end)

    def _count_frame(self) -> None:
        self._frames += 1
        if self._frames > self._ledger.limits.max_frames:
            raise refusals.too_many_frames(self._ledger.limits.max_frames)

    def _fill(self) -> None:
        """Keep the promise: zeros in place of what was removed between the picture and the container's end."""
        if not self._owed:
            return
        left = self._owed - 8
        if left < 0:
            raise refusals.malformed("stray bytes after its picture")
        self._owed = 0
        self._source.emit(_header(b"JUNK", left))
        for start in range(0, left, len(_ZEROS)):
            self._source.emit(_ZEROS[: left - start])


def _header(kind: bytes, size: int) -> bytes:
    return kind + struct.pack("<I", size)


def _riff(size: int) -> bytes:
    """RIFF's header for ``size`` bytes of chunks."""
    return b"RIFF" + struct.pack("<I", size + 4) + b"WEBP"


def _even(size: int) -> int:
    return size + size % 2
