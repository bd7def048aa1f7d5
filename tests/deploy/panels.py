"""Runs every query of every dashboard against a real Prometheus."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.deploy.programs import DEPLOY

# What Grafana would put in; the window holds some scrapes of a test's Prometheus.
_VARIABLES = {"$__rate_interval": "30s", "$__interval": "5s", "$__range": "5m"}


def dashboards() -> list[Path]:
    """The generated dashboards."""
    return sorted((DEPLOY / "grafana").glob("*.json"))


def panels() -> Iterator[dict[str, Any]]:
    """Every panel that shows something, as Grafana's JSON."""
    for file in dashboards():
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            if panel["type"] != "row":
                yield panel


def queries() -> Iterator[tuple[str, str]]:
    """(panel's title, PromQL) of every query, with Grafana's variables put in."""
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            for variable, value in _VARIABLES.items():
                expression = expression.replace(variable, value)
            yield panel["title"], expression


def check_panels(prometheus_url: str) -> list[str]:
    """One line for each query that fails or finds nothing; empty when every panel shows something.

    prometheus_url: "http://HOST:PORT" of a Prometheus that scrapes a mesh and has deploy/prometheus/rules.yml.
    """
    faults = []
    for title, expression in queries():
        fault = _fault(prometheus_url, expression)
        if fault:
            faults.append(f"{title}: {fault}: {expression}")
    return faults


def firing(prometheus_url: str) -> set[str]:
    """The names of the alerts that fire now."""
    alerts = get(prometheus_url, "/api/v1/alerts")["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


def get(prometheus_url: str, path: str, **parameters: str) -> Any:
    """What Prometheus's HTTP API answers. Raises urllib.error.HTTPError."""
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{prometheus_url}{path}?{query}", timeout=10) as answer:
        return json.load(answer)["data"]


def _fault(prometheus_url: str, expression: str) -> str:
    if "$" in expression:
        return "has a variable that nobody fills in"
    try:
        result = get(prometheus_url, "/api/v1/query", query=expression)["result"]
    except urllib.error.HTTPError as error:
        return str(json.load(error).get("error", error.reason))
    return "" if result else "is empty"
