"""What a scrubbed WebP may be (RFC 9649), to the byte that RIFF's header promises:

    RIFF  VP8 | VP8L
    RIFF  VP8X  [ICCP: a profile of ours]  VP8L
    RIFF  VP8X  [ICCP: a profile of ours]  [ALPH]  VP8  [JUNK: zeros, after an ALPH that was too long to hold]

VP8X only where it says something: a profile, or an ALPH.
"""

from __future__ import annotations

from services.ingest.report import Format
from services.ingest.verify.disagreement import Disagreement, require
from services.ingest.verify.drawing import Drawing
from services.ingest.verify.profiles import space_of
from services.ingest.verify.tape import Tape

_RANK = {b"VP8X": 0, b"ICCP": 1, b"ALPH": 2, b"VP8 ": 3, b"VP8L": 3, b"JUNK": 4}
_PICTURES = (b"VP8 ", b"VP8L")
_ROOM = 64 * 1024
"""Pixels' worth of bytes for headers and code tables."""


class Webp:
    def __init__(self, tape: Tape) -> None:
        self.drawing = Drawing(Format.WEBP)
        self._tape = tape
        self._left = 0  # bytes of the container that are still to come
        self._seen: list[bytes] = []
        self._size = 0  # of the current chunk
        self._canvas: tuple[int, int] | None = None
        self._flags = 0
        tape.read(11, self._begun)

    def _begun(self, rest: bytes) -> None:
        self._left = int.from_bytes(rest[3:7], "little") - 4
        require(rest[:3] == b"IFF" and rest[7:] == b"WEBP", "the signature")
        require(self._left > 0 and self._left % 2 == 0, "the size of the container")
        self._tape.read(8, self._chunk)

    def _next(self) -> None:
        """After a chunk's last byte, its padding included."""
        if self._left:
            self._tape.read(8, self._chunk)
            return
        require(any(kind in self._seen for kind in _PICTURES), "a picture that is not there")
        self._agree_with_header()
        self._tape.close()

    def _chunk(self, framing: bytes) -> None:
        kind, self._size = framing[:4], int.from_bytes(framing[4:], "little")
        rank, before = _RANK.get(kind, -1), _RANK[self._seen[-1]] if self._seen else -1
        require(rank > before, "the order of chunks")
        require(bool(self._seen) or kind in (b"VP8X", *_PICTURES), "the first chunk")
        self._left -= 8 + self._size + self._size % 2
        require(self._left >= 0, "the length of a chunk")
        self._seen.append(kind)
        match kind:
            case b"VP8X":
                require(self._size == 10, "VP8X")
                self._tape.read(10, self._extended)
            case b"ICCP":
                self._tape.read(self._size, self._profile)
            case b"ALPH":
                self._tape.read(1, self._alpha)
            case b"VP8 ":
                self._tape.read(10, self._lossy)
            case b"VP8L":
                self._tape.read(5, self._lossless)
            case _:
                require(b"ALPH" in self._seen and b"VP8 " in self._seen, "a filler without need")
                self._pass(0, zeros=True)

    def _pass(self, read: int, *, zeros: bool = False) -> None:
        """The rest of the chunk, of which ``read`` bytes have come: pixels, or nothing but zeros."""
        require(self._size >= read, "the length of a chunk")
        self._tape.watch(self._size - read, _only_zeros if zeros else _anything, self._padded)

    def _padded(self) -> None:
        self._tape.watch(self._size % 2, _only_zeros, self._next)

    def _extended(self, payload: bytes) -> None:
        self._flags = payload[0]
        require(payload[1:4] == bytes(3) and self._flags & ~0x30 == 0 and self._flags > 0, "VP8X")
        self._canvas = 1 + int.from_bytes(payload[4:7], "little"), 1 + int.from_bytes(payload[7:10], "little")
        self._next()

    def _profile(self, payload: bytes) -> None:
        self.drawing.profile = space_of(payload)
        require(self.drawing.profile is not None, "a colour profile that is not ours")
        self._padded()

    def _alpha(self, head: bytes) -> None:
        """RFC 9649, 2.7.1.2: reserved bits, preprocessing, filter, compression."""
        width, height = self._canvas or (0, 0)
        method, preprocessing, reserved = head[0] & 3, head[0] >> 4 & 3, head[0] >> 6
        require(method < 2 and preprocessing < 2 and reserved == 0, "ALPH")
        require(method == 1 or self._size == 1 + width * height, "ALPH")
        require(self._size <= 2 * (width * height + _ROOM), "more data than the picture can need")
        self.drawing.has_alpha = True
        self._pass(1)

    def _lossy(self, head: bytes) -> None:
        """RFC 6386, 9.1: a key frame that is shown, and no scaling."""
        tag = int.from_bytes(head[:3], "little")
        require(tag & 1 == 0 and tag >> 1 & 7 <= 3 and tag >> 4 & 1 == 1, "VP8")
        require(head[3:6] == b"\x9d\x01\x2a" and (tag >> 5) + 10 <= self._size, "VP8")
        self._picture(int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little"), read=10)

    def _lossless(self, head: bytes) -> None:
        """RFC 9649, 3.4."""
        bits = int.from_bytes(head[1:], "little")
        require(head[0] == 0x2F and bits >> 29 == 0 and b"ALPH" not in self._seen, "VP8L")
        self.drawing.has_alpha = bits >> 28 & 1 == 1
        self._picture((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, read=5)

    def _picture(self, width: int, height: int, *, read: int) -> None:
        require(0 < width < 1 << 14 or read == 5, "the size of the picture")
        require(0 < height < 1 << 14 or read == 5, "the size of the picture")
        require(self._canvas in (None, (width, height)), "two sizes for one picture")
        require(self._size <= 8 * (width * height + _ROOM), "more data than the picture can need")
        self.drawing.width, self.drawing.height = width, height
        self._pass(read)

    def _agree_with_header(self) -> None:
        """VP8X says that there is a profile, and transparency, when there is."""
        if self._canvas is None:
            require(len(self._seen) == 1, "the first chunk")
            return
        said = 0x20 * (self.drawing.profile is not None) | 0x10 * self.drawing.has_alpha
        require(self._flags == said and ({b"ICCP", b"ALPH"} & set(self._seen) != set()), "VP8X")


def _anything(_view: memoryview) -> None:
    """Entropy-coded pixels: what they say, only a decoder can tell."""


def _only_zeros(view: memoryview) -> None:
    if any(view[:16]) or bytes(view).count(0) != len(view):
        raise Disagreement("padding that says something")
