"""The report's plots, by matplotlib. Text in them stays text, in PDF and in SVG."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from clients.evidence.report import Report

INK, SOFT, BAR = "#1d2321", "#5b6662", "#1f5f5b"
# Settled, revoked, expired: told apart by lightness too, for those who don't see colours.
OUTCOMES = {"settled": "#1f5f5b", "revoked": "#d9a441", "expired": "#a8201a"}
TEXT_STAYS_TEXT: Any = {
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "mayfly",
    "font.family": "DejaVu Sans",
}
"""matplotlib's settings: TrueType in PDF, <text> in SVG, and the same ids each time."""
SIZE = (6.6, 2.5)  # inches


def draw(name: str, report: Report, axes: Axes) -> None:
    """name: of DRAWN."""
    DRAWN[name](report.figures, axes)


def svg(name: str, report: Report) -> str:
    """As a string that may stand in HTML."""
    import matplotlib  # noqa: PLC0415

    with matplotlib.rc_context(TEXT_STAYS_TEXT):
        figure, out = Figure(figsize=SIZE, layout="constrained"), io.StringIO()
        FigureCanvasSVG(figure)
        draw(name, report, figure.add_subplot())
        figure.savefig(out, format="svg", metadata={"Date": None}, transparent=True)
    text = out.getvalue()
    return text[text.index("<svg") :]


def _residency(figures: dict[str, Any], axes: Axes) -> None:
    lives = figures["residency"]
    labels = [*(str(bound) for bound in lives["bounds"]), f"> {lives['bounds'][-1]}"]
    bars = axes.bar(labels, lives["bars"], color=BAR, width=0.8)
    axes.bar_label(bars, [f"{n:,}" if n else "" for n in lives["bars"]], fontsize=7, color=INK)
    _plain(axes, "seconds, at most; last bar: longer", "photos")


def _days(figures: dict[str, Any], axes: Axes) -> None:
    days = figures["days"]
    base = [0] * len(days)
    places = range(len(days))
    for outcome, colour in OUTCOMES.items():
        counts = [day[outcome] for day in days]
        axes.bar(places, counts, bottom=base, color=colour, width=0.85, label=outcome)
        base = [below + n for below, n in zip(base, counts, strict=True)]
    step = max(1, -(-len(days) // 10))
    axes.set_xticks(list(places)[::step], [day["day"][5:] for day in days][::step])
    axes.legend(fontsize=7, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
    _plain(axes, "month-day, UTC", "photos that ended")


def _plain(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=8, color=SOFT)
    axes.set_ylabel(y, fontsize=8, color=SOFT)
    axes.tick_params(labelsize=7, colors=SOFT)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.margins(y=0.15)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


DRAWN = {"residency": _residency, "days": _days}
