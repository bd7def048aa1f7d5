"""The cases of the rules, each with no more rules than it asks about: all of them at each look would take a minute."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tests.deploy.programs import DEPLOY, read_yaml

PROMETHEUS = DEPLOY / "prometheus"


@cache
def cases() -> tuple[tuple[dict[str, Any], dict[str, Any]], ...]:
    """(the file's content, one of its cases); of every ``*_test.yml``."""
    files = [read_yaml(file) for file in sorted(PROMETHEUS.glob("*_test.yml"))]
    return tuple((content, case) for content in files for case in content["tests"])


def lay_out(folder: Path, rules: dict[str, Any]) -> list[Path]:
    """Writes a file for each case, to be given to ``promtool test rules``; returns them. rules: rules.yml's content."""
    files = []
    for number, (content, case) in enumerate(cases()):
        own = folder / f"{number}-rules.yml"
        own.write_text(json.dumps(_fitting(rules, case)))  # JSON is YAML
        files.append(folder / f"{number}.yml")
        files[-1].write_text(json.dumps(content | {"rule_files": [own.name], "tests": [case]}))
    return files


def _fitting(rules: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    """The alerts that the case names, and the records that they or its own expressions need."""
    alerts = {each["alertname"] for each in case.get("alert_rule_test", ())}
    every = [rule for group in rules["groups"] for rule in group["rules"]]
    wanted = [rule for rule in every if rule.get("alert") in alerts]
    asked = [each["expr"] for each in case.get("promql_expr_test", ())] + [rule["expr"] for rule in wanted]
    for expression in asked:
        found = [rule for rule in every if "record" in rule and rule["record"] in expression and rule not in wanted]
        wanted += found
        asked += [rule["expr"] for rule in found]
    groups = [group | {"rules": [rule for rule in group["rules"] if rule in wanted]} for group in rules["groups"]]
    return {"groups": [group for group in groups if group["rules"]]}
