"""The mark that stays when metadata is lost: a word in the pixels, the same in every picture of a source type.

The algorithm is blind-watermark's (wavelet, DCT, singular values), by wmforge, which does it in arrays. That reads a
picture of the very size it wrote, so both happen on a square of ``SIDE`` px: what the word changes there is scaled up
to the picture and added (as in Bui et al., TrustMark, 2023, section 3.3). So it survives scaling and JPEG, but not
cropping (docs/marking.md has the figures).

The word says "Mayfly made this", and how. It is no id: it is the same for all photos, users and deployments.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from math import comb
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from wmforge.core import BlindWmVector

from services.render.marking.source_type import SourceType
from services.render.steps.pixels import Array

# A thread of OpenCV's own would keep pixels on its stack, and the work is too small to be shared.
cv2.setNumThreads(0)

SIDE = 384  # px
BITS = 64
LEAST = 52  # bits that agree: of 2 million pictures without the mark one reads so well by chance
_SEED = 1  # of the library's shuffling: public, as the mark is no secret
_STRENGTH = (20, 12)  # steps to which the two largest singular values are rounded; the library's own: 36, 20
_WORD = np.unpackbits(np.frombuffer(hashlib.sha256(b"mayfly watermark 1").digest()[: BITS // 8], np.uint8))
# The two differ in every bit, so that neither is ever taken for the other.
WORDS = {SourceType.EDITED_BY_AI: _WORD, SourceType.ALTERED: 1 - _WORD}


@dataclass(frozen=True, slots=True)
class Read:
    """matched: bits of ``bits`` that agree. chance: that as many agree in a picture without the mark, if its bits fall
    like coins."""

    source_type: SourceType
    matched: int
    bits: int
    chance: float


class Mark(Protocol):
    """(picture (H, W, 3) 0..1, how it came about) -> the same with its mark."""

    def __call__(self, picture: Array, source_type: SourceType, /) -> Array: ...


def unmarked(picture: Array, source_type: SourceType, /) -> Array:
    """For deployments that were told to make pictures which say nothing."""
    return picture


def embed(picture: Array, source_type: SourceType, /) -> Array:
    """A ``Mark``. The same picture gets the same mark."""
    height, width = picture.shape[:2]
    square = _square(picture)
    forge = _forge()
    forge.read_img_arr(square)
    forge.read_wm(WORDS[source_type])
    change = (forge.embed() - square)[..., ::-1] / np.float32(255)
    change = cv2.resize(np.ascontiguousarray(change, np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(picture + change, 0, 1), np.float32)


def read(picture: Array) -> Read | None:
    """picture: (H, W, 3) 0..1, of any size. None if there is no mark."""
    found = agreeing(picture)
    made = max(found, key=found.__getitem__)
    return Read(made, found[made], BITS, _chance(found[made])) if found[made] >= LEAST else None


def agreeing(picture: Array) -> dict[SourceType, int]:
    """How many bits agree with each word."""
    with warnings.catch_warnings():
        # Where all blocks read alike, the library takes the mean of none.
        warnings.simplefilter("ignore", RuntimeWarning)
        bits: NDArray[np.bool_] = _forge().extract_bits(_square(picture), BITS)
    return {made: int((bits == word.astype(bool)).sum()) for made, word in WORDS.items()}


def _chance(matched: int) -> float:
    return float(len(WORDS) * sum(comb(BITS, more) for more in range(matched, BITS + 1)) / 2**BITS)


def _square(picture: Array) -> Array:
    """BGR, 0..255, as the library has it."""
    shrinks = min(picture.shape[:2]) >= SIDE
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.ascontiguousarray(small[..., ::-1] * 255, np.float32)


def _forge() -> BlindWmVector:
    forge = BlindWmVector(password_wm=_SEED, password_img=_SEED)
    forge.core.d1, forge.core.d2 = _STRENGTH
    return forge
