"""What a dashboard is made of, whoever shows it: ``grafana`` and ``console`` both draw these.

A query is PromQL with the name of its series, as Grafana writes it: ``("sum by (job) (up)", "{{job}}")``.
``$__rate_interval`` and ``$__range`` stand for windows that whoever shows it chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Query = tuple[str, str]

UNITS = {
    "none": "a count",
    "s": "seconds",
    "bytes": "bytes",
    "cps": "a second",
    "percentunit": "a share, 0 to 1",
    "bool_yes_no": "1 is yes, 0 is no",
}
"""Grafana's ids of the units that are used."""
COLUMNS = 24  # of Grafana's grid


@dataclass(frozen=True, slots=True)
class Limit:
    """From ``at`` on it is bad; with ``below``, down from it. warns: from there on it is worth a look."""

    at: float
    warns: float | None = None
    below: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """says: what it shows and what is bad, for somebody who sees it for the first time.

    alerts: those of deploy/prometheus/rules.yml that watch over it; each has a runbook.
    width: of ``COLUMNS``. height: in rows of Grafana's grid (30 px).
    """

    title: str
    says: str
    unit: str
    queries: Sequence[Query]
    limit: Limit | None = None
    alerts: Sequence[str] = ()
    width: int = 8
    height: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph(Panel):
    """Something over time. signed: may be below 0. stacked: the series add up to something that has a meaning."""

    signed: bool = False
    stacked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure(Panel):
    """Numbers of now. words: what stands in the place of a value, such as "yes" for 1; the worst one is the limit's."""

    words: Mapping[int, str] | None = None
    width: int = 4
    height: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars(Panel):
    """Numbers of now, as bars beside each other. full: the value of a full bar; None: the greatest one's."""

    full: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Board:
    """name: of its files, and its address. rows: the most urgent first."""

    name: str
    title: str
    says: str
    rows: Sequence[Row]

    @property
    def panels(self) -> Sequence[Panel]:
        return [panel for row in self.rows for panel in row.panels]


YES = {1: "yes", 0: "no"}


def yes(title: str, says: str, *queries: Query, alerts: Sequence[str] = (), width: int = 4, height: int = 4) -> Figure:
    """1 is as it should be and reads "yes"; 0 is bad and reads "no"."""
    return Figure(
        title=title,
        says=says,
        unit="bool_yes_no",
        queries=queries,
        limit=Limit(0, below=True),
        words=YES,
        alerts=alerts,
        width=width,
        height=height,
    )


def zero(
    title: str,
    says: str,
    *queries: Query,
    alerts: Sequence[str] = (),
    unit: str = "none",
    width: int = 4,
    height: int = 4,
) -> Figure:
    """0 is as it should be; anything above is bad."""
    return Figure(
        title=title,
        says=says,
        unit=unit,
        queries=queries,
        limit=Limit(1),
        alerts=alerts,
        width=width,
        height=height,
    )


def per_second(metric: str, *by: str, where: str = "") -> str:
    """The rate of a counter, summed; 0 where nothing was counted yet."""
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"sum{grouped} (rate({metric}{where}[$__rate_interval])) or on () vector(0)"


def grown(metric: str, *by: str, where: str = "", window: str = "$__rate_interval") -> str:
    """By how much a counter has grown in the window; 0 where nothing was counted yet."""
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"sum{grouped} (increase({metric}{where}[{window}])) or on () vector(0)"


def quantile(share: float, histogram: str, *by: str, where: str = "") -> str:
    """The value that ``share`` of what was observed in the window lies below."""
    grouped = ", ".join(("le", *by))
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({histogram}_bucket{where}[$__rate_interval])))"


def mean(histogram: str, *by: str, window: str = "$__range") -> str:
    """The mean of what was observed in the window; no series of what wasn't."""
    grouped = f" by ({', '.join(by)})" if by else ""
    total, count = (f"sum{grouped} (increase({histogram}_{part}[{window}]))" for part in ("sum", "count"))
    return f"{total} / ({count} > 0)"
