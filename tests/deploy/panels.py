"""Runs every query of every dashboard against a real Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clients.observe import panels as observed
from clients.observe.alerts import firing
from clients.observe.prometheus import get

__all__ = ["check_panels", "dashboards", "firing", "get", "panels", "queries"]


def dashboards() -> list[Path]:
    """The generated dashboards."""
    return observed.files()


def panels() -> Iterator[dict[str, Any]]:
    """Every panel that shows something, as Grafana's JSON."""
    for file in dashboards():
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            if panel["type"] != "row":
                yield panel


def queries() -> Iterator[tuple[str, str]]:
    """(panel's title, PromQL) of every query, with Grafana's variables put in."""
    for panel in observed.panels():
        for query in panel.queries:
            yield panel.title, query


def check_panels(prometheus_url: str) -> list[str]:
    """One line for each query that fails or finds nothing; empty when every panel shows something.

    prometheus_url: "http://HOST:PORT" of a Prometheus that scrapes a mesh and has deploy/prometheus/rules.yml. Nothing
    need have happened in that mesh, but steps of a recipe: quantiles of nothing may be NaN.
    """
    return [fault for panel in observed.panels() for fault in observed.faults(panel, prometheus_url, numbers=False)]
