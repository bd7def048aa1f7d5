"""JPEG marker codes: the byte after 0xFF (ITU-T T.81, table B.1)."""

from __future__ import annotations

import struct

TEM = 0x01
SOF_DRAWABLE = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})  # baseline, extended, progressive; Huffman, then arithmetic
SOF_PROGRESSIVE = frozenset({0xC2, 0xCA})
SOF_ARITHMETIC = frozenset({0xC9, 0xCA})
SOF_OTHER = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF})  # lossless, hierarchical
DHT = 0xC4
DAC = 0xCC
RST = range(0xD0, 0xD8)
SOI = 0xD8
EOI = 0xD9
SOS = 0xDA
DQT = 0xDB
DNL = 0xDC
DRI = 0xDD
APP = range(0xE0, 0xF0)
COM = 0xFE


def segment(marker: int, payload: bytes) -> bytes:
    """A marker segment: marker, length (which counts itself), payload."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
