"""Colour profiles: which of three spaces a profile describes, and our own profile of it.

A profile carries names, dates, serials. So none is passed on: sRGB is what no profile means, Display P3 and Adobe RGB
are replaced by constant profiles made here, anything else is dropped and reported. Layout: ICC.1:2022 (profile
version 4.4), sections 7 (header, tag table), 10.6 (curveType), 10.18 (parametricCurveType), 10.31 (XYZType).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache

from services.ingest.report import Colour

Curve = Callable[[float], float]

# Primaries as XYZ relative to D50 (Bradford-adapted), columns red, green, blue.
_PRIMARIES: dict[Colour, tuple[tuple[float, float, float], ...]] = {
    Colour.SRGB: ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
    Colour.DISPLAY_P3: ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    Colour.ADOBE_RGB: ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
}
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1
_ADOBE_GAMMA = 563 / 256
_PRIMARY_TOLERANCE = 0.004  # rounding, and the spread of the white points that profile makers adapted from
_CURVE_TOLERANCE = 0.012  # lets a pure gamma of 2.2 pass for sRGB's curve, which is how compact profiles write it
_PROBES = (0.2, 0.4, 0.6, 0.8)


def recognise(head: bytes) -> Colour:
    """The space that an RGB or grey matrix profile describes; UNKNOWN for all else, broken profiles included.

    ``head`` may be the profile's beginning only; a tag that lies beyond it counts as missing.
    """
    tags = _tags(head)
    if head[16:20] == b"GRAY":
        return Colour.SRGB if _curve_is(tags.get(b"kTRC"), Colour.SRGB) else Colour.UNKNOWN
    if head[16:20] != b"RGB " or b"A2B0" in tags:
        return Colour.UNKNOWN
    points = tuple(_xyz(tags.get(tag)) for tag in (b"rXYZ", b"gXYZ", b"bXYZ"))
    for colour, primaries in _PRIMARIES.items():
        if all(_near(point, primary) for point, primary in zip(points, primaries, strict=True)):
            curves = (tags.get(tag) for tag in (b"rTRC", b"gTRC", b"bTRC"))
            return colour if all(_curve_is(curve, colour) for curve in curves) else Colour.UNKNOWN
    return Colour.UNKNOWN


def _tags(head: bytes) -> dict[bytes, bytes]:
    """Signature to data. At most 100 tags are looked at; profiles have about 20."""
    if len(head) < 132 or head[36:40] != b"acsp":
        return {}
    (count,) = struct.unpack_from(">I", head, 128)
    whole = min(count, 100, (len(head) - 132) // 12)
    table = struct.iter_unpack(">4sII", head[132 : 132 + 12 * whole])
    return {tag: head[offset : offset + size] for tag, offset, size in table if offset + size <= len(head)}


def _xyz(data: bytes | None) -> tuple[float, float, float] | None:
    if data is None or len(data) < 20 or data[:4] != b"XYZ ":
        return None
    x, y, z = struct.unpack_from(">3i", data, 8)
    return x / 65536, y / 65536, z / 65536


def _near(point: tuple[float, float, float] | None, primary: tuple[float, float, float]) -> bool:
    return point is not None and all(abs(a - b) <= _PRIMARY_TOLERANCE for a, b in zip(point, primary, strict=True))


def _curve_is(data: bytes | None, colour: Colour) -> bool:
    curve = _curve(data or b"")
    expected = _power(_ADOBE_GAMMA) if colour is Colour.ADOBE_RGB else _parametric(_SRGB_CURVE)
    return curve is not None and all(abs(curve(x) - expected(x)) <= _CURVE_TOLERANCE for x in _PROBES)


def _curve(data: bytes) -> Curve | None:
    if len(data) < 12:
        return None
    if data[:4] == b"curv":
        return _sampled(data)
    if data[:4] == b"para":
        return _para(data)
    return None


def _sampled(data: bytes) -> Curve | None:
    (count,) = struct.unpack_from(">I", data, 8)
    if count > (len(data) - 12) // 2:
        return None
    if count == 0:
        return lambda x: x
    if count == 1:
        return _power(struct.unpack_from(">H", data, 12)[0] / 256)
    last = count - 1
    return lambda x: float(struct.unpack_from(">H", data, 12 + 2 * round(x * last))[0]) / 65535


def _para(data: bytes) -> Curve | None:
    (kind,) = struct.unpack_from(">H", data, 8)
    sizes = {0: 1, 3: 5}
    if kind not in sizes or len(data) < 12 + 4 * sizes[kind]:
        return None
    numbers = [value / 65536 for value in struct.unpack_from(f">{sizes[kind]}i", data, 12)]
    if kind == 0:
        return _power(numbers[0])
    g, a, b, c, d = numbers
    return _parametric((g, a, b, c, d))


def _power(gamma: float) -> Curve:
    return lambda x: float(x ** min(max(gamma, 0.0), 16.0))


def _parametric(numbers: tuple[float, float, float, float, float]) -> Curve:
    g, a, b, c, d = numbers
    gamma = _power(g)
    return lambda x: gamma(min(max(a * x + b, 0.0), 16.0)) if x >= d else c * x


OURS = frozenset({Colour.DISPLAY_P3, Colour.ADOBE_RGB})
"""The spaces that we have a profile for; sRGB needs none."""


@cache
def profile(colour: Colour) -> bytes:
    """Our constant profile: matrix and curve, no date, no maker, no words but the space's name. About 400 bytes."""
    name = {Colour.DISPLAY_P3: "Display P3", Colour.ADOBE_RGB: "Adobe RGB"}[colour]
    tags = {
        b"desc": _text(name),
        b"cprt": _text("CC0"),
        b"wtpt": _xyz_data(_D50),
        b"chad": b"sf32\0\0\0\0" + struct.pack(">9i", *(_fixed(value) for value in _D65_TO_D50)),
        **{tag: _xyz_data(point) for tag, point in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _PRIMARIES[colour], strict=True)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve_data(colour)),
    }
    return _assemble(tags)


_D50 = (0.9642, 1.0, 0.8249)
_D65_TO_D50 = (1.04788, 0.02292, -0.05022, 0.02959, 0.99048, -0.01707, -0.00925, 0.01508, 0.75168)  # Bradford


def _fixed(value: float) -> int:
    return round(value * 65536)


def _xyz_data(point: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *map(_fixed, point))


def _curve_data(colour: Colour) -> bytes:
    if colour is Colour.ADOBE_RGB:
        return b"para\0\0\0\0" + struct.pack(">HHi", 0, 0, _fixed(_ADOBE_GAMMA))
    return b"para\0\0\0\0" + struct.pack(">HH5i", 3, 0, *map(_fixed, _SRGB_CURVE))


def _text(words: str) -> bytes:
    encoded = words.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _assemble(tags: dict[bytes, bytes]) -> bytes:
    """Header, tag table, data; equal data is stored once."""
    start = 128 + 4 + 12 * len(tags)
    table, data, places = b"", b"", dict[bytes, int]()
    for tag, content in tags.items():
        if content not in places:
            places[content] = start + len(data)
            data += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", tag, places[content], len(content))
    size = start + len(data)
    header = struct.pack(">I4sI4s4s4s12s4s", size, b"", 0x04200000, b"mntr", b"RGB ", b"XYZ ", b"", b"acsp")
    header += bytes(28) + struct.pack(">3i", *map(_fixed, _D50)) + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + data
