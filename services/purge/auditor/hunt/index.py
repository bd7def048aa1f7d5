"""Every window of what must not be found, and where they occur in a stretch of bytes.

Two tables. A bitmap over hashes of single words: the fast question, asked of one aligned word in three, and wrong for
one word in sixty-four (or in ten, of 100 MB of needles). And each distinct window once, sorted by its hash: asked only
where three words in a row have answered, and then the bytes themselves are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from services.purge.auditor.hunt.tables import bitmap, distinct, member, sort_distinct, unknown
from services.purge.auditor.hunt.words import (
    STRIDE,
    WINDOW,
    WORD,
    WORDS_OF_WINDOW,
    Bytes,
    Flags,
    Offsets,
    Words,
    as_bytes,
    eligible,
    hashes_everywhere,
    window_hashes,
    windows_at,
    words_everywhere,
)

_FIBONACCI = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio (Knuth, TAOCP 3, section 6.4)
_BITS_PER_WORD = 64
_SMALLEST, _LARGEST = 16, 30  # log2 of the bitmap's bits; 128 MiB at most
# A window with only a byte or two that are this photo's own, beside what is common to all, may be another's by chance:
# windows are not looked for unless that many bytes are its own.
_MARGIN = 8
_EIGHTH = np.uint64(3)
_ALIGNED = np.arange(-WINDOW + WORD, 1, WORD)  # windows at aligned offsets that hold a given aligned word
_RAGGED = np.setdiff1d(np.arange(-WINDOW + WORD, 1), _ALIGNED)
_BATCH = 1 << 16  # words in question that are settled at one time; 25 windows of 32 bytes each


@dataclass(frozen=True, slots=True)
class Needle:
    """Bytes that must not be found, and what they are ("upload", "scrubbed", "pixels", …)."""

    what: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Match:
    """A stretch that consists of windows which are looked for. length: bytes, at least 32."""

    offset: int
    length: int
    what: str


class NeedleIndex:
    """All eligible windows of some needles, less those that are common. Made once, searched with many times.

    It takes about 25 bytes for each distinct window. Not changed by a search, so threads may share it.
    """

    def __init__(self, needles: Sequence[Needle], *, common: Iterable[bytes] = (), known: Words | None = None) -> None:
        """common:  what is no sign of these needles: for example the same kinds of bytes made of another photo.
        known:   the same as ``common_hashes`` gives it.
        """
        self._names = tuple(needle.what for needle in needles)
        self._text = as_bytes(b"".join(needle.data for needle in needles))
        self._ends = np.cumsum([len(needle.data) for needle in needles], dtype=np.int64)
        shared = common_hashes(common)
        if known is not None:
            shared = distinct(np.concatenate((shared, known)))
        self._adopt(*self._windows(needles, shared))

    @property
    def size(self) -> int:
        """How many distinct windows it looks for."""
        return len(self._hashes)

    def without(self, known: Words) -> NeedleIndex:
        """This index, less the windows that ``seen`` found in a place that can't have the photo."""
        other = object.__new__(NeedleIndex)
        other._names, other._text, other._ends = self._names, self._text, self._ends
        fresh = unknown(self._hashes, known)
        other._adopt(self._hashes[fresh], self._positions[fresh])
        return other

    def seen(self, data: Bytes) -> Words:
        """The hashes of the windows of ``data`` that are looked for, sorted; for ``without``."""
        stretches = (data[match.offset : match.offset + match.length] for match in self.search(data))
        found = common_hashes(stretch.tobytes() for stretch in stretches)
        return found[~unknown(found, self._hashes)]

    def search(self, data: Bytes) -> list[Match]:
        """All stretches of ``data`` that consist of windows which are looked for, at any alignment."""
        starts, ids = self._occurrences(data)
        if not len(starts):
            return []
        apart = np.flatnonzero(np.diff(starts) > WINDOW)
        firsts, lasts = np.concatenate(([0], apart + 1)), np.concatenate((apart, [len(starts) - 1]))
        return [
            Match(int(starts[first]), int(starts[last] - starts[first]) + WINDOW, self._what(ids[first : last + 1]))
            for first, last in zip(firsts, lasts, strict=True)
        ]

    def _what(self, ids: Offsets) -> str:
        owners = np.searchsorted(self._ends, self._positions[ids], side="right")
        return self._names[int(np.bincount(owners).argmax())]

    def _occurrences(self, data: Bytes) -> tuple[Offsets, Offsets]:
        """Where windows begin (ascending), and which they are. Within a long stretch only those at aligned offsets."""
        words = data[: len(data) // WORD * WORD].view("<u8")
        likely = np.flatnonzero(self._hits(words[::STRIDE])) * STRIDE
        likely = likely[self._in_a_row(words, likely)]
        starts, ids = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for begin in range(0, len(likely), _BATCH):
            for some in self._settle(data, likely[begin : begin + _BATCH]):
                starts.append(some[0])
                ids.append(some[1])
        every, first = np.unique(np.concatenate(starts), return_index=True)
        return every, np.concatenate(ids)[first]

    def _settle(self, data: Bytes, likely: Offsets) -> Iterable[tuple[Offsets, Offsets]]:
        aligned = likely[:, None] * WORD + _ALIGNED
        found = self._find(data, aligned.ravel())
        yield aligned.ravel()[found >= 0], found[found >= 0]
        # Where all four match, every byte that the others could add is covered already.
        rest = likely[~(found.reshape(aligned.shape) >= 0).all(axis=1)]
        ragged = (rest[:, None] * WORD + _RAGGED).ravel()
        found = self._find(data, ragged)
        yield ragged[found >= 0], found[found >= 0]

    def _find(self, data: Bytes, starts: Offsets) -> Offsets:
        """For each start the number of the window that is there, or -1."""
        result = np.full(len(starts), -1, dtype=np.int64)
        inside = np.flatnonzero((starts >= 0) & (starts <= len(data) - WINDOW))
        if not len(inside) or not self.size:
            return result
        windows = windows_at(data, starts[inside])
        hashes = window_hashes(windows)
        places = np.minimum(np.searchsorted(self._hashes, hashes), self.size - 1)
        equal = np.flatnonzero(self._hashes[places] == hashes)
        places, inside = places[equal], inside[equal]
        same = (windows_at(self._text, self._positions[places]) == windows[equal]).all(axis=1)
        result[inside[same]] = places[same]
        return result

    def _hits(self, words: Words) -> Flags:
        places = (words * _FIBONACCI) >> self._shift
        octets = self._bitmap.take(
            (places >> _EIGHTH).view(np.int64), mode="wrap"
        )  # none is out of range: it is fastest
        octets >>= places.astype(np.uint8) & np.uint8(7)
        octets &= 1
        hits: Flags = octets.view(np.bool_)
        return hits

    def _in_a_row(self, words: Words, likely: Offsets) -> Flags:
        """Which of these words stand in a row of three that all may be of a window."""
        before, after = self._hits_at(words, likely - 1), self._hits_at(words, likely + 1)
        row: Flags = before & after
        for neighbour, step in ((before, -2), (after, 2)):
            single = np.flatnonzero(neighbour & ~row)
            row[single] = self._hits_at(words, likely[single] + step)
        return row

    def _hits_at(self, words: Words, places: Offsets) -> Flags:
        inside = (places >= 0) & (places < len(words))
        result = np.zeros(len(places), dtype=np.bool_)
        result[inside] = self._hits(words[places[inside]])
        return result

    def _windows(self, needles: Sequence[Needle], shared: Words) -> tuple[Words, Offsets]:
        hashes, positions = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        begin = 0
        for needle in needles:
            some, places = _hashed(needle.data)
            own = ~_near(places, member(some, shared), len(needle.data))
            hashes.append(some[own])
            positions.append(places[own] + begin)
            begin += len(needle.data)
        return sort_distinct(np.concatenate(hashes), np.concatenate(positions))

    def _adopt(self, hashes: Words, positions: Offsets) -> None:
        self._hashes, self._positions = hashes, positions
        words = self._words()
        bits = min(_LARGEST, max(_SMALLEST, (_BITS_PER_WORD * len(words) - 1).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._bitmap = bitmap((words * _FIBONACCI) >> self._shift, 1 << bits)

    def _words(self) -> Words:
        """Each word of each window."""
        marks = np.zeros(len(self._text) + WORDS_OF_WINDOW, dtype=np.int32)
        marks[self._positions + WORDS_OF_WINDOW] = 1
        begun = np.cumsum(marks, dtype=np.int32)
        everywhere = words_everywhere(self._text)
        within = begun[WORDS_OF_WINDOW:] > begun[:-WORDS_OF_WINDOW]
        chosen: Words = everywhere[within[: len(everywhere)]]
        return chosen


def common_hashes(texts: Iterable[bytes]) -> Words:
    """Hashes of the eligible windows of some texts, sorted."""
    return distinct(np.concatenate([np.empty(0, np.uint64), *(_hashed(text)[0] for text in texts)]))


def _near(places: Offsets, marked: Flags, size: int) -> Flags:
    """Which places are less than a margin away from a marked one. size: more than any place."""
    marks = np.zeros(size + 2 * _MARGIN, dtype=np.int32)
    marks[places[marked] + _MARGIN] = 1
    sums = np.concatenate(([0], np.cumsum(marks, dtype=np.int32)))
    near: Flags = sums[places + 2 * _MARGIN] > sums[places + 1]
    return near


def _hashed(text: bytes) -> tuple[Words, Offsets]:
    words = words_everywhere(as_bytes(text))
    places = np.flatnonzero(eligible(words))
    hashes: Words = hashes_everywhere(words)[places]
    return hashes, places
