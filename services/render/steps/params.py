"""Turns a step's table in a scene file into a typed, bounded, frozen dataclass, and says exactly what is wrong.

A step declares ``Params`` with the field helpers below; ``bind`` reads a mapping into it. Anything unknown, of the
wrong type or out of bounds is a ``ParamError`` that names the field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, field, fields
from typing import Any, TypeVar

from services.render.steps.asset import Asset

Color = tuple[float, float, float]
"""sRGB, 0..1 each. Written "#rrggbb" in scene files."""
Stops = tuple[tuple[float, Color], ...]
"""A gradient: (position 0..1, colour), positions rising. Written [[0.0, "#rrggbb"], ...]."""

T = TypeVar("T")


class ParamError(ValueError):
    """``where`` is the dotted path of the field inside the table that was bound."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


def number(default: float, low: float, high: float) -> float:
    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("must be a number")
        if not low <= value <= high:
            raise ValueError(f"must be {low:g} to {high:g}, is {value:g}")
        return float(value)

    return _field(default, parse)


def numbers(low: float, high: float) -> tuple[float, ...]:
    """A list of numbers, empty by default."""

    def parse(value: object) -> tuple[float, ...]:
        items = _sequence(value)
        if not all(isinstance(item, int | float) and low <= item <= high for item in items):
            raise ValueError(f"must be a list of numbers, {low:g} to {high:g}")
        return tuple(float(item) for item in items if isinstance(item, int | float))

    return _field((), parse)


def whole(default: int, low: int, high: int) -> int:
    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("must be a whole number")
        if not low <= value <= high:
            raise ValueError(f"must be {low} to {high}, is {value}")
        return value

    return _field(default, parse)


def word(default: str, *choices: str) -> str:
    def parse(value: object) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return _field(default, parse)


def text(low: int, high: int) -> str:
    """One line of ``low`` to ``high`` characters; must be there."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or not low <= len(value) <= high or not value.isprintable():
            raise ValueError(f"must be one line of {low} to {high} characters")
        return value

    made: Any = field(metadata={"parse": parse})
    return made  # type: ignore[no-any-return]


def asset() -> Asset:
    """A picture of the scene's own folder; must be there. A scene file names it; the catalogue has read it by then."""

    def parse(value: object) -> Asset:
        if not isinstance(value, Asset):
            raise ValueError("must name a picture in the scene's folder")
        return value

    made: Any = field(metadata={"parse": parse})
    return made  # type: ignore[no-any-return]


def color(default: str) -> Color:
    return _field(parse_color(default), parse_color)


def colors(*default: str) -> tuple[Color, ...]:
    return _field(tuple(parse_color(c) for c in default), lambda value: tuple(parse_color(c) for c in _sequence(value)))


def stops(*default: tuple[float, str]) -> Stops:
    return _field(_parse_stops(default), _parse_stops)


def point(x: float, y: float) -> tuple[float, float]:
    """A place on the canvas in fractions of its width and height; may lie outside of it."""

    def parse(value: object) -> tuple[float, float]:
        match _sequence(value):
            case [int() | float() as px, int() | float() as py] if -2 <= px <= 3 and -2 <= py <= 3:
                return (float(px), float(py))
        raise ValueError("must be [x, y], fractions of the canvas")

    return _field((x, y), parse)


def weights(count: int, default: Mapping[int, float]) -> tuple[float, ...]:
    """Shares of ``count`` things, written {index = share}; normalised to a sum of 1."""

    def parse(value: object) -> tuple[float, ...]:
        if not isinstance(value, Mapping) or not value:
            raise ValueError("must be a table {index = share}")
        out = [0.0] * count
        for key, share in value.items():
            if not str(key).isdigit() or int(key) >= count or not isinstance(share, int | float) or share < 0:
                raise ValueError(f"index must be 0 to {count - 1} and share a number from 0, is {key} = {share}")
            out[int(key)] = float(share)
        if sum(out) <= 0:
            raise ValueError("shares must not all be 0")
        return tuple(share / sum(out) for share in out)

    return _field(parse(default), parse)


def custom(default: T, parse: Callable[[object], T]) -> T:
    return _field(default, parse)


def bind(cls: Callable[..., T], table: Mapping[str, object], where: str = "") -> T:
    """Build ``cls`` from ``table``."""
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    values: dict[str, object] = {}
    for key, value in table.items():
        path = f"{where}.{key}" if where else key
        if key not in known:
            raise ParamError(path, f"unknown; known are {', '.join(known) or 'none'}")
        try:
            values[key] = known[key].metadata["parse"](value)
        except ParamError as error:
            raise ParamError(f"{path}{error.where}", error.problem) from None
        except ValueError as error:
            raise ParamError(path, str(error)) from None
    missing = [f.name for f in known.values() if f.default is MISSING and f.name not in values]
    if missing:
        raise ParamError(f"{where}.{missing[0]}" if where else missing[0], "missing")
    return cls(**values)


def parse_color(value: object) -> Color:
    text = value if isinstance(value, str) else ""
    try:
        if len(text) != 7 or text[0] != "#":
            raise ValueError
        red, green, blue = (int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))
    except ValueError:
        raise ValueError('must be a colour "#rrggbb"') from None
    return (red, green, blue)


def _parse_stops(value: object) -> Stops:
    out: list[tuple[float, Color]] = []
    for stop in _sequence(value):
        match _sequence(stop):
            case [int() | float() as at, str() as text] if 0 <= at <= 1 and (not out or at > out[-1][0]):
                out.append((float(at), parse_color(text)))
            case _:
                raise ValueError('must be [[position 0..1 rising, "#rrggbb"], ...]')
    if len(out) < 2:
        raise ValueError("needs at least two stops")
    return tuple(out)


def _sequence(value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list")
    return list(value)


def _field(default: T, parse: Callable[[object], T]) -> T:
    made: Any = field(default=default, metadata={"parse": parse})
    return made  # type: ignore[no-any-return]
