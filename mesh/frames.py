"""Frames without parsing: which field a one-field protobuf message holds, told from its first bytes.

Source: protocol buffers encoding, "Message Structure" (tag = field number << 3 | wire type; LEN = 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mesh.errors import Invalid

MAX_CHUNK_BYTES = 1 << 20
"""The largest chunk that any stream takes, bytes."""
FRAME_CHUNK_BYTES = 512 << 10
"""The size of the chunks that the mesh itself cuts, bytes (from 512 KiB on, CPU per byte is flat)."""
MAX_FRAME_BYTES = MAX_CHUNK_BYTES + (64 << 10)
"""The largest message that any photo stream takes, bytes."""

_LEN = 2
_SMALL_BYTES = 64 << 10


def sole_field(raw: bytes) -> tuple[int, int]:
    """Returns (field number, where its payload begins) of a message that holds exactly one length-delimited field.

    The payload ends where ``raw`` ends. Raises Invalid(MALFORMED_FRAME) for anything else: two fields, an empty
    message, another wire type, bytes after the field. Costs the same for 1 byte as for 1 MiB.
    """
    tag, at = _varint(raw, 0)
    length, at = _varint(raw, at)
    if tag & 7 != _LEN or at + length != len(raw):
        raise _malformed()
    return tag >> 3, at


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw) and shift <= 28:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise _malformed()


def _malformed() -> Invalid:
    return Invalid("MALFORMED_FRAME", "A message must hold exactly one field of the stream's message.", field="message")


CHUNK = 2
"""The field number of ``chunk`` in every photo stream."""
SEAL = 3


def encode_chunk(pieces: Sequence[bytes | bytearray | memoryview], byte_count: int) -> bytes:
    """A message whose only field is ``chunk``: the pieces, joined by the one copy that this takes."""
    return b"".join((bytes((CHUNK << 3 | _LEN,)), encode_varint(byte_count), *pieces))


def take_chunk(raw: bytes, at: int) -> bytes:
    """The chunk of a message whose payload begins at ``at``. Invalid if it is empty or over the limit."""
    if not 0 < len(raw) - at <= MAX_CHUNK_BYTES:
        raise Invalid(
            "MALFORMED_FRAME", "A chunk holds 1 byte to 1 MiB; cut it smaller.", field="chunk", limit=MAX_CHUNK_BYTES
        )
    return raw[at:]


class Framer:
    """Cuts pieces of any size into chunk frames of FRAME_CHUNK_BYTES; only the last one is smaller.

    Holds less than one frame. Small pieces are copied together: a view keeps all that it views, so that a few bytes
    out of each of many large chunks would keep them all (as it is: 8 at most), and a million views weigh 100 MB.
    """

    def __init__(self) -> None:
        self._pieces: list[bytearray | memoryview] = []
        self._waiting = 0
        self.byte_count = 0

    def add(self, pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
        """Takes pieces; yields each frame that is full."""
        for piece in pieces:
            rest = memoryview(piece)
            while len(rest) >= FRAME_CHUNK_BYTES - self._waiting:
                room = FRAME_CHUNK_BYTES - self._waiting
                self._gather(rest[:room])
                rest = rest[room:]
                yield self._cut()
            self._gather(rest)

    def flush(self) -> bytes | None:
        """What has gathered, as a frame; None if nothing has."""
        return self._cut() if self._waiting else None

    def _gather(self, piece: memoryview) -> None:
        self._waiting += len(piece)
        if len(piece) >= _SMALL_BYTES:
            self._pieces.append(piece)
        elif self._pieces and isinstance(last := self._pieces[-1], bytearray):
            last += piece
        elif piece:
            self._pieces.append(bytearray(piece))

    def _cut(self) -> bytes:
        frame = encode_chunk(self._pieces, self._waiting)
        self.byte_count += self._waiting
        self._pieces, self._waiting = [], 0
        return frame


def encode_varint(value: int) -> bytes:
    """Protocol buffers encoding, "Base 128 Varints"."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
