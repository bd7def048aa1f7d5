"""Whether each panel of each dashboard shows something: its queries, asked of a real Prometheus."""

from __future__ import annotations

import json
import math
import urllib.error
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.observe import deployed
from clients.observe.prometheus import get, refusal

# What Grafana would put in; the windows hold all that a check does, also on a busy machine.
VARIABLES = {"$__rate_interval": "5m", "$__interval": "5s", "$__range": "15m"}


@dataclass(frozen=True, slots=True)
class Panel:
    """queries: PromQL, with the variables put in."""

    board: str
    title: str
    queries: tuple[str, ...]


def files(folder: Path = deployed.GRAFANA) -> list[Path]:
    """The generated dashboards."""
    return sorted(folder.glob("*.json"))


def panels(found: Iterable[Path] | None = None) -> Iterator[Panel]:
    """Every panel that shows something."""
    for file in files() if found is None else found:
        board = json.loads(file.read_text(encoding="utf-8"))
        for panel in board["panels"]:
            if panel["type"] != "row":
                queries = tuple(fill_in(target["expr"]) for target in panel["targets"])
                yield Panel(board["title"], panel["title"], queries)


def fill_in(expression: str) -> str:
    """PromQL with the variables put in."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def faults(panel: Panel, url: str, *, numbers: bool = True) -> list[str]:
    """One line for each query that fails or finds nothing.

    numbers: and one if all that is found is NaN: quantiles and shares of nothing. url: of a Prometheus that scrapes a
    mesh and has the deployed rules. Raises OSError when it is away.
    """
    found, known = [], 0
    for query in panel.queries:
        try:
            values = _values(url, query)
        except urllib.error.HTTPError as error:
            found.append(f"{refusal(error)}: {query}")
            continue
        known += sum(not math.isnan(value) for value in values)
        if not values:
            found.append(f"is empty: {query}")
    if numbers and not found and not known:
        found.append(f"has no number: {panel.queries[0]}")
    return [f"{panel.board}, {panel.title}: {fault}" for fault in found]


def _values(url: str, query: str) -> list[float]:
    data: Any = get(url, "/api/v1/query", query=query)
    if data["resultType"] == "scalar":
        return [float(data["result"][1])]
    return [float(series["value"][1]) for series in data["result"]]
