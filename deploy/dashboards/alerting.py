"""The alerts that are deployed, and the state of what they watch over."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from deploy.dashboards.panel import Figure, Limit

FILE = Path(__file__).parents[1] / "prometheus/rules.yml"
RUNBOOKS = "docs/runbooks"
STATES = {0: "kept", 1: "look", 2: "alert"}
"""No alert; an alert that waits to be sure; an alert that fires."""


@cache
def alerts() -> dict[str, str]:
    """Alert -> the rule that it watches over: "R1" to "R9", or "service"."""
    groups = yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    return {rule["alert"]: rule["labels"]["rule"] for rule in rules}


def state(rule: str, title: str, says: str, width: int = 8) -> Figure:
    """Of one rule, by all alerts that watch over it. Empty where nothing is scraped: then nobody knows."""
    firing, pending = (f'ALERTS{{rule="{rule}",alertstate="{state}"}}' for state in ("firing", "pending"))
    return Figure(
        title=title,
        says=says,
        unit="none",
        queries=[(f"max(2 * {firing} or {pending}) or on () 0 * count(up == 1)", "")],
        limit=Limit(2, warns=1),
        words=STATES,
        alerts=[name for name, watched in alerts().items() if watched == rule],
        width=width,
        height=5,
    )
