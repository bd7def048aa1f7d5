"""Which metrics there are (services/metrics.py), and which ones rules and dashboards ask for."""

from __future__ import annotations

import re
from typing import Any

from services.metrics import CATALOGUE
from tests.deploy.panels import queries
from tests.deploy.programs import DEPLOY, read_yaml

PENDING: frozenset[str] = frozenset()
"""Asked for, but not declared by the code yet. Must be empty in the end."""

_ASKED = re.compile(r"\b(?:mayfly|grpc_server|process|python)_[a-z0-9_]+\b|\bmayfly:[a-z0-9_:]+|\bup\b")


def declared() -> set[str]:
    """The names of all series that the code can emit, those that rules record, and Prometheus's own ``up``."""
    names = {name for metric in CATALOGUE for name in metric.sample_names}
    return names | {"up"} | {rule["record"] for rule in _rules() if "record" in rule}


def asked_for() -> dict[str, set[str]]:
    """Metric name -> who asks: alerts, recorded rules, panels."""
    asked: dict[str, set[str]] = {}
    expressions = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in _rules()]
    for who, expression in [*expressions, *queries()]:
        for name in _ASKED.findall(re.sub(r'"[^"]*"', "", expression)):
            asked.setdefault(name, set()).add(who)
    return asked


def _rules() -> list[dict[str, Any]]:
    groups = read_yaml(DEPLOY / "prometheus/rules.yml")["groups"]
    return [rule for group in groups for rule in group["rules"]]
