"""PNG's framing: length, type, data, CRC (PNG 3rd edition, section 5.3)."""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_LENGTH = 2**31 - 1
FRAMING = 12
"""Bytes of a chunk that aren't its data."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
