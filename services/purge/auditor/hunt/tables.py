"""The two tables of an index, made fast: sorting is what takes the time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.purge.auditor.hunt.words import Offsets, Words


def sort_distinct(hashes: Words, positions: Offsets) -> tuple[Words, Offsets]:
    """Each distinct hash once, ascending, with a position where it occurs.

    Sorting numbers is ten times as fast as finding their order (numpy has vector instructions for the first), so the
    position takes the place of a hash's low bits while it is sorted.
    """
    low = np.uint64((1 << len(hashes).bit_length()) - 1)
    packed = np.sort((hashes & ~low) | np.arange(len(hashes), dtype=np.uint64))
    order = (packed & low).view(np.int64)
    hashes, positions = hashes[order], positions[order]
    fresh = _first(hashes)
    hashes, positions = hashes[fresh], positions[fresh]
    _put_in_order(hashes, positions)  # hashes that are equal but for their low bits
    fresh = _first(hashes)
    return hashes[fresh], positions[fresh]


def distinct(hashes: Words) -> Words:
    """Sorted. ``numpy.unique`` would use a hash table, which takes ten times as long for millions of 64-bit numbers."""
    ordered: Words = np.sort(hashes)
    return ordered[_first(ordered)]


def unknown(hashes: Words, known: Words) -> NDArray[np.bool_]:
    """Which of the ``hashes`` are not among the ``known``; both sorted and distinct."""
    fresh = np.ones(len(hashes), dtype=np.bool_)
    places = np.searchsorted(hashes, known)
    inside = places < len(hashes)
    same = hashes[places[inside]] == known[inside]
    fresh[places[inside][same]] = False
    return fresh


def member(hashes: Words, known: Words) -> NDArray[np.bool_]:
    """Which of the ``hashes``, in any order, are among the ``known``, which are sorted and distinct."""
    if not len(known):
        return np.zeros(len(hashes), dtype=np.bool_)
    places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    found: NDArray[np.bool_] = known[places] == hashes
    return found


def _first(hashes: Words) -> NDArray[np.bool_]:
    return np.concatenate((np.ones(min(1, len(hashes)), np.bool_), hashes[1:] != hashes[:-1]))


def _put_in_order(hashes: Words, positions: Offsets) -> None:
    """Sorts what is nearly sorted, in place: a number that is too far left changes places with its right neighbour."""
    while len(wrong := np.flatnonzero(hashes[1:] < hashes[:-1])):
        wrong = wrong[np.diff(wrong, prepend=-2) > 1]  # pairs that don't overlap; the first of a row always is one
        for array in (hashes, positions):
            array[wrong], array[wrong + 1] = array[wrong + 1], array[wrong]


def bitmap(places: Words, bits: int) -> NDArray[np.uint8]:
    """``bits`` bits, of which those at ``places`` are set; bits: a multiple of 8."""
    octets = np.zeros(bits // 8, dtype=np.uint8)
    for bit in range(8):
        chosen = (places[(places & np.uint64(7)) == bit] >> np.uint64(3)).view(np.int64)
        octets[chosen] |= np.uint8(1 << bit)
    return octets
