"""Which metrics the code declares, and which ones rules and dashboards ask for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.panels import queries
from tests.deploy.programs import DEPLOY, ROOT, read_yaml

PENDING: frozenset[str] = frozenset()
"""Asked for, but not declared by the code yet. Must be empty in the end."""

_OURS = re.compile(r"^(mayfly|grpc_server)_[a-z0-9_]+$")
_ASKED = re.compile(r"\b(?:mayfly|grpc_server|process|python)_[a-z0-9_]+\b|\bmayfly:[a-z0-9_:]+|\bup\b")
# What each kind of declaration adds to its name (prometheus_client; for the lower-case ones services/purge/metrics.py).
_PARTS = {"Histogram": ("_bucket", "_sum", "_count"), "_Counts": ("_total",)}
_DECLARES = {"Counter", "Gauge", "Histogram", "gauge", "gauges", "_Counts"}
# By Prometheus itself, and by prometheus_client's collectors that every service registers.
_GIVEN = frozenset({"up", "process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes"})


@dataclass(frozen=True, slots=True)
class Declaration:
    """A metric as the code declares it: ``Counter("name", "help", ("label",))`` or ``metrics.gauge("name", …)``."""

    kind: str
    name: str
    call: ast.Call

    @property
    def series(self) -> set[str]:
        return {self.name + part for part in _PARTS.get(self.kind, ("",))}


def declarations(folder: str) -> Iterator[Declaration]:
    """Every metric that is declared below ``folder`` ("services/purge"), read from the source."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        yield from _in(file)


def declared() -> set[str]:
    """The names of all series that the code can emit, and those that are recorded by rules."""
    names = {series for folder in ("mesh", "services") for each in declarations(folder) for series in each.series}
    return names | _GIVEN | {rule["record"] for rule in _rules() if "record" in rule}


def asked_for() -> dict[str, set[str]]:
    """Metric name -> who asks: alerts, recorded rules, panels."""
    asked: dict[str, set[str]] = {}
    expressions = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in _rules()]
    for who, expression in [*expressions, *queries()]:
        for name in _ASKED.findall(re.sub(r'"[^"]*"', "", expression)):
            asked.setdefault(name, set()).add(who)
    return asked


def _in(file: Path) -> Iterator[Declaration]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            kind = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            name = node.args[0].value
            if kind in _DECLARES and isinstance(name, str) and _OURS.match(name):
                yield Declaration(kind, name, node)


def _rules() -> list[dict[str, Any]]:
    groups = read_yaml(DEPLOY / "prometheus/rules.yml")["groups"]
    return [rule for group in groups for rule in group["rules"]]
