"""Frames without parsing: which field a one-field protobuf message holds, told from its first bytes.

Source: protocol buffers encoding, "Message Structure" (tag = field number << 3 | wire type; LEN = 2).
"""

from __future__ import annotations

from mesh.errors import Invalid

MAX_CHUNK_BYTES = 1 << 20
"""The largest chunk that any stream takes, bytes."""
FRAME_CHUNK_BYTES = 512 << 10
"""The size of the chunks that the mesh itself cuts, bytes (from 512 KiB on, CPU per byte is flat)."""
MAX_FRAME_BYTES = MAX_CHUNK_BYTES + (64 << 10)
"""The largest message that any photo stream takes, bytes."""

_LEN = 2


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
