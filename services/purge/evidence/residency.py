"""How long photos lived, as bars."""

from __future__ import annotations

from services.purge.evidence.figures import Figures, bars
from services.purge.evidence.words import count, escape, plural

_WIDTH, _HEIGHT, _TOP, _FOOT = 420, 200, 22, 36
_AXIS = "seconds that they lived, at most; last bar: longer"


def draw(figures: Figures) -> str:
    """Bars of leases that ended in the last 24 hours; a sentence where there are none."""
    total = sum(figures.residency)
    if not total:
        return '<p class="none">No photo ended in the last 24 hours.</p>'
    highest, step = max(figures.residency), (_WIDTH - 8) / len(figures.residency)
    parts = []
    for number, (label, held) in enumerate(zip(bars(), figures.residency, strict=True)):
        x, room = 4 + number * step, _HEIGHT - _TOP - _FOOT
        tall = max(room * held / highest, 2.0 if held else 0.0)
        y = _HEIGHT - _FOOT - tall
        middle = x + step / 2
        parts.append(f'<rect x="{x + 2:.1f}" y="{y:.1f}" width="{step - 4:.1f}" height="{tall:.1f}" rx="2"/>')
        if held:
            parts.append(f'<text class="value" x="{middle:.1f}" y="{y - 5:.1f}">{_short(held)}</text>')
        parts.append(f'<text class="label" x="{middle:.1f}" y="{_HEIGHT - _FOOT + 15}">{_below(label)}</text>')
    said = ", ".join(f"{escape(label)} s: {count(n)}" for label, n in zip(bars(), figures.residency, strict=True) if n)
    unknown = f"<p>Of {plural(figures.unknown, 'photo')} a crash has lost how long.</p>" if figures.unknown else ""
    return (
        f'<svg class="bars" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="residency-title">'
        f'<title id="residency-title">Photos by the seconds that they lived: {said}</title>{"".join(parts)}'
        f'<path class="axis" d="M4 {_HEIGHT - _FOOT} H{_WIDTH - 4}"/>'
        f'<text class="label" x="{_WIDTH / 2}" y="{_HEIGHT - 4}">{_AXIS}</text>'
        "</svg>"
        f"{unknown}"
    )


def _below(label: str) -> str:
    """Fits below a bar: what the axis says of all but the last one is left out, and its blank."""
    return escape(label.removeprefix("≤ ").replace(" ", ""))


def _short(number: int) -> str:
    """Fits above a bar."""
    if number < 10_000:
        return count(number)
    return f"{number / 1000:.0f}k" if number < 1_000_000 else f"{number / 1e6:.1f}M"
