"""Numbers, times and amounts as a person reads them, and text as HTML takes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

__all__ = ["amount", "clock", "count", "escape", "moment", "plural", "seconds", "table"]


def count(number: float) -> str:
    """1204 → "1,204"."""
    return f"{number:,.0f}"


def plural(number: int, one: str, many: str = "") -> str:
    """ "1 photo", "1,204 photos"."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def seconds(duration: float) -> str:
    """ "41 s", "4.9 s", "12 ms", "3 min 20 s"."""
    if duration >= 120:
        minutes, left = divmod(round(duration), 60)
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    if duration >= 10 or duration == round(duration):
        return f"{duration:.0f} s"
    return f"{duration:.1f} s" if duration >= 1 else f"{duration * 1000:.0f} ms"


def amount(size: float) -> str:
    """Bytes: "720 MB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return plural(int(size), "byte")


def moment(when: float) -> str:
    """ "28 Nov 2026, 21:45:03 UTC", in HTML that a machine reads too. when: Unix seconds."""
    at = datetime.fromtimestamp(when, UTC)
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at.day} {at:%b %Y, %H:%M:%S} UTC</time>'


def clock(when: float) -> str:
    """ "21:45:03 UTC"."""
    at = datetime.fromtimestamp(when, UTC)
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at:%H:%M:%S} UTC</time>'


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values, both HTML, below each other; without those that have no value."""
    shown = [f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows if value]
    return f'<dl class="facts">{"".join(shown)}</dl>'
