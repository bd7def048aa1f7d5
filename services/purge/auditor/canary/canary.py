"""A canary: a synthetic photo of which every byte that matters is random, and what must not be found of it."""

from __future__ import annotations

import secrets as system
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
from PIL import features

from services.purge.auditor.canary import formats, pixels, secrets
from services.purge.auditor.canary.drawing import NOISE_ROWS, Pixels, draw
from services.purge.auditor.hunt.index import Needle
from services.purge.auditor.hunt.words import as_bytes, told

_USUAL = (384, 288)
_LARGE = (3072, 160)  # twice a decoder's working size, so that it scales by a half and the tile stays a tile
_SMALL = (96, 96)  # less than any scene takes
_SIZES = {"large": _LARGE, "small": _SMALL}
_NOISY = frozenset({"webp", "avif", "heic"})
"""What compresses by looking back, or not to the same pixels, turns tiles into patterns that other canaries have too,
or into none. So these are noise all over, and smaller."""
_NOISE = (192, 128)
_TOLD = 0.98
"""The least share of its pixels' bytes that a canary is known by. What a tile hides is hidden in each repetition: two
equal neighbours are no sign of a photo, as floats or with a byte of 255 nor is a 0 or a 255, and what lies between two
such places is too short for one. One JPEG in three hid more when it was measured, up to a tenth."""
_TWINS = 6  # their headers come in some variants, by chance
_PLAIN = ("jpeg", "png", "webp")


@dataclass(frozen=True, slots=True)
class Canary:
    """kind: format, or format and size. data: what is uploaded. needles: what must not be found, by kind of bytes."""

    kind: str
    data: bytes
    needles: tuple[Needle, ...]


def kinds() -> tuple[str, ...]:
    """What this machine can encode."""
    more = ["avif"] if features.check("avif") else []
    try:
        import pillow_heif  # noqa: F401, PLC0415 - an extra
    except ImportError:
        pass
    else:
        more.append("heic")
    return (*_PLAIN, *more, "jpeg_large", "png_large")


def make(kind: str) -> Canary:
    """A new one, unlike any other."""
    return _make(kind, system.randbits(128))


@cache
def twins(kind: str) -> tuple[bytes, ...]:
    """Other canaries' files of that kind: what two have in common is no sign of either. Their pixels have nothing."""
    format = kind.partition("_")[0]
    return (_make(kind, 0).data, *(_make(format, seed).data for seed in range(1, _TWINS)))


def of_picture(data: bytes) -> Iterator[Needle]:
    """What must not be found of a picture that came back."""
    yield Needle("picture", data)
    rows = pixels.picture_rows(pixels.decoded(data))
    yield from islice(_layouts("picture_pixels", rows), 2)


def _make(kind: str, seed: int) -> Canary:
    random = np.random.default_rng(seed)
    while (made := _drawn(kind, random)) is None:
        pass
    return made


def _drawn(kind: str, random: np.random.Generator) -> Canary | None:
    """None if its tile hides too much."""
    name, _, size = kind.partition("_")
    width, height = _NOISE if name in _NOISY else _SIZES.get(size, _USUAL)
    drawn = draw(random, width, height, noise=height if name in _NOISY else NOISE_ROWS)
    said = secrets.make(random)
    if kind == "malformed":
        data = formats.malformed(drawn, said)
        return Canary(kind, data, (Needle("upload", data),))
    if kind == "undecodable":
        data = formats.undecodable(drawn, said)
        return Canary(kind, data, (Needle("upload", data), *_layouts("pixels", drawn)))
    data = formats.ENCODERS[name](drawn, said)
    if name in _NOISY:
        return Canary(kind, data, (Needle("upload", data), *_layouts("pixels", np.asarray(pixels.decoded(data)))))
    found = tuple(_pixels(data, height))
    if any(told(as_bytes(needle.data)) < _TOLD for needle in found):
        return None
    return Canary(kind, data, (Needle("upload", data), *found))


def _pixels(data: bytes, height: int) -> Iterator[Needle]:
    """As a decoder has them, and at working size if that is another one."""
    image = pixels.decoded(data)
    scaled = pixels.at_working_size(image)
    if scaled is not image:
        # Nothing but a decoder ever has these, and it has no floats.
        yield from islice(_layouts("full_pixels", pixels.canary_rows(image, height)), 2)
    yield from _layouts("pixels", pixels.canary_rows(scaled, height))


def _layouts(what: str, rows: Pixels) -> Iterator[Needle]:
    return (Needle(what, layout) for layout in pixels.layouts(rows))
