"""Chance that belongs to a place: what falls to one cell of a grid does not depend on what falls to others.

A generator's numbers come in a row: leave one stroke out, and all that follow are others. Here each number is a hash of
seed, cell and purpose (the mixer of SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
Generators", 2014). A helper of ``strokes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.render.steps.pixels import Array

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_HALF = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Chance:
    """cells: (N,) uint64, one state a cell."""

    cells: NDArray[np.uint64]

    @staticmethod
    def of(seed: int, rows: NDArray[Any], columns: NDArray[Any]) -> Chance:
        """seed: 0..2^63 - 1. rows, columns: (N,) whole numbers from 0 up, below 2^32."""
        cells = (rows.astype(np.uint64) << _HALF) | columns.astype(np.uint64)
        return Chance(_mixed(_mixed(cells + _GOLDEN) ^ np.uint64(seed)))

    def some(self, keep: NDArray[Any]) -> Chance:
        """Of the cells that are kept (a mask or indices), the same numbers."""
        return Chance(self.cells[keep])

    def uniform(self, purpose: int) -> Array:
        """(N,) 0..1, below 1. purpose: which of a cell's numbers, from 0 up."""
        bits = _mixed(self.cells + _GOLDEN * np.uint64(purpose + 1).reshape(1))
        return np.asarray((bits >> np.uint64(11)) * 2.0**-53)

    def normal(self, purpose: int) -> Array:
        """(N, 2) of mean 0 and deviation 1 (Box and Muller, 1958), made of the numbers ``purpose`` and the next."""
        far, angle = np.sqrt(-2 * np.log1p(-self.uniform(purpose))), 2 * np.pi * self.uniform(purpose + 1)
        return np.stack([far * np.cos(angle), far * np.sin(angle)], axis=1)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))
