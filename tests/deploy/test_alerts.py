"""Every alert has a severity, a rule, plain words, a runbook, and cases in which it fires and clears."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.programs import DEPLOY, ROOT, program, read_yaml, run

PROMETHEUS = DEPLOY / "prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in read_yaml(PROMETHEUS / "rules.yml")["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RUNBOOKS = ROOT / "docs/runbooks"


@pytest.fixture
def promtool() -> str:
    return program("promtool", "Debian: prometheus")


def test_the_configuration_is_valid(promtool: str) -> None:
    # Its certificates are where compose mounts them.
    result = run(promtool, "check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")
    assert result.returncode == 0, result.stdout


def test_the_rules_pass_their_cases(promtool: str) -> None:
    result = run(promtool, "test", "rules", "rules_test.yml", cwd=PROMETHEUS)
    assert result.returncode == 0, result.stdout


def test_alerts_that_never_fire_are_found(promtool: str, tmp_path: Path) -> None:
    rules = read_yaml(PROMETHEUS / "rules.yml")
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                rule["expr"] = "vector(0) > 1"
    (tmp_path / "rules.yml").write_text(json.dumps(rules))  # JSON is YAML
    shutil.copy(PROMETHEUS / "rules_test.yml", tmp_path)
    result = run(promtool, "test", "rules", "rules_test.yml", cwd=tmp_path)
    assert [name for name in ALERTS if f"alertname: {name}," not in result.stdout] == []


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_is_seen_to_fire_and_then_to_clear(name: str) -> None:
    cleared = []
    for case in read_yaml(PROMETHEUS / "rules_test.yml")["tests"]:
        seen = [bool(at["exp_alerts"]) for at in case.get("alert_rule_test", ()) if at["alertname"] == name]
        cleared.append(True in seen and not seen[-1])
    assert any(cleared)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_says_what_it_means(name: str) -> None:
    alert = ALERTS[name]
    assert set(alert["labels"]) == {"severity", "rule"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["labels"]["rule"] in {*(f"R{number}" for number in range(1, 10)), "service"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_has_a_runbook(name: str) -> None:
    assert ALERTS[name]["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    page = (RUNBOOKS / f"{name}.md").read_text()
    for part in (f"# {name}\n", "**For a family.**", "**Confirm.**", "**Stop the bleeding.**", "**Close.**"):
        assert part in page


def test_no_runbook_is_left_over() -> None:
    assert {page.stem for page in RUNBOOKS.glob("Mayfly*.md")} == set(ALERTS)


def test_operations_lists_every_alert() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    assert [name for name in ALERTS if f"runbooks/{name}.md" not in page] == []
