"""Bytes as 64-bit words: at every offset, at chosen offsets, and which of them say nothing.

A *window* is 32 consecutive bytes: what R5 asks for. Wherever it lies, it holds three whole words that are aligned to
8 bytes, so a search that looks at one aligned word in three sees at least one word of every window.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

WORD = 8  # bytes
WINDOW = 32  # bytes
STRIDE = 3  # aligned words: one of any three that follow each other is a multiple of this
WORDS_OF_WINDOW = WINDOW - WORD + 1  # at all offsets

Bytes: TypeAlias = NDArray[np.uint8]
Words: TypeAlias = NDArray[np.uint64]
Offsets: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_ONES = np.uint64(0x0101010101010101)
_LOW_BITS = np.uint64(0x7F7F7F7F7F7F7F7F)
_DULL_BYTES = 4  # so many bytes of 0x00, or of 0xff, and a word is a small number, a length, or padding
_PERIODS = (1, 2, 3, 4)  # bytes: runs, UTF-16 of one letter, one colour as RGB and as RGBX
# Odd 64-bit multipliers (the first bits of the square roots of 2, 3, 5 and 7, as in SHA-512): multilinear hashing.
# A hit is compared byte by byte, so no collision counts.
_MULTIPLIERS = np.array(
    [0x6A09E667F3BCC909, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1], dtype=np.uint64
)


def as_bytes(data: bytes | bytearray | memoryview) -> Bytes:
    return np.frombuffer(data, dtype=np.uint8)


def words_everywhere(data: Bytes) -> Words:
    """The word that begins at each offset: ``len(data) - 7`` of them."""
    words = np.empty(max(0, len(data) - WORD + 1), dtype=np.uint64)
    for offset in range(min(WORD, len(words))):
        part = data[offset : offset + (len(data) - offset) // WORD * WORD]
        words[offset::WORD] = part.view("<u8")
    return words


def windows_at(data: Bytes, starts: Offsets) -> Words:
    """The windows that begin at ``starts``, as rows of four words. Each start must leave 32 bytes."""
    rows = np.lib.stride_tricks.sliding_window_view(data, WINDOW)[starts]
    return rows.view("<u8")


def window_hashes(windows: Words) -> Words:
    """One 64-bit hash for each row of four words."""
    hashes: Words = (windows * _MULTIPLIERS).sum(axis=1, dtype=np.uint64)
    return hashes


def hashes_everywhere(words: Words) -> Words:
    """The hash of the window at each offset, from the word at each offset."""
    count = max(0, len(words) - (WINDOW - WORD))
    hashes = np.zeros(count, dtype=np.uint64)
    for index, multiplier in enumerate(_MULTIPLIERS):
        hashes += words[index * WORD : index * WORD + count] * multiplier
    return hashes


def dull(words: Words) -> Flags:
    """Which words say nothing about a photo: mostly zeros or ones, or with a period of at most four bytes."""
    found: Flags = (_zero_bytes(words) >= _DULL_BYTES) | (_zero_bytes(~words) >= _DULL_BYTES)
    for period in _PERIODS:
        shift = np.uint64(8 * period)
        found |= ((words ^ (words >> shift)) << shift) == 0
    return found


def eligible(words: Words) -> Flags:
    """Which windows are looked for: those without a dull word at any of their offsets."""
    count = max(0, len(words) - WORDS_OF_WINDOW + 1)
    sums = np.concatenate(([0], np.cumsum(dull(words), dtype=np.int64)))
    flags: Flags = sums[WORDS_OF_WINDOW : WORDS_OF_WINDOW + count] == sums[:count]
    return flags


def told(data: Bytes) -> float:
    """The share of bytes, 0..1, that lie in a window which is looked for."""
    ends = np.zeros(len(data) + 1, dtype=np.int32)
    starts = np.flatnonzero(eligible(words_everywhere(data)))
    ends[starts] += 1
    ends[starts + WINDOW] -= 1
    return float((np.cumsum(ends)[:-1] > 0).mean())


def _zero_bytes(words: Words) -> NDArray[np.uint8]:
    """How many bytes of each word are zero ("Hacker's Delight", section 6-1)."""
    marks = ~(((words & _LOW_BITS) + _LOW_BITS) | words | _LOW_BITS)
    count: NDArray[np.uint8] = np.bitwise_count(marks)
    return count
