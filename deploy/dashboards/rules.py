"""The alerts that are deployed, as far as dashboards name them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

FILE = Path(__file__).parents[1] / "prometheus/rules.yml"
RUNBOOKS = "docs/runbooks"


@cache
def alerts() -> dict[str, str]:
    """Alert -> the rule that it watches over: "R1" to "R9", or "service"."""
    groups = yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    return {rule["alert"]: rule["labels"]["rule"] for rule in rules}


def watching(rule: str) -> tuple[str, ...]:
    """The alerts of one rule of the design."""
    return tuple(name for name, watched in alerts().items() if watched == rule)
