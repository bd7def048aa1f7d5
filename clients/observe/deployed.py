"""What is deployed for those who watch, as it lies in the source: rules, scrape configuration, consoles, dashboards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from clients.local.processes import SOURCE_ROOT
from mesh.errors import ConfigError

DEPLOY = SOURCE_ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus/prometheus.yml"
RULES = DEPLOY / "prometheus/rules.yml"
ALERTMANAGER = DEPLOY / "prometheus/alertmanager.yml"
CONSOLES = DEPLOY / "prometheus/consoles"
LIBRARIES = DEPLOY / "prometheus/console_libraries"
GRAFANA = DEPLOY / "grafana"


def read(path: Path) -> Any:
    """A YAML file's content. ConfigError where there is no such file: the command was installed without its source."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing; observing a mesh takes a checkout of Mayfly.") from None


def alerts() -> list[str]:
    """The names of all alerts that rules.yml has."""
    return [rule["alert"] for group in read(RULES)["groups"] for rule in group["rules"] if "alert" in rule]
