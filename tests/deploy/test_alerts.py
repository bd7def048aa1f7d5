"""Every alert has a severity, a rule, plain words, a runbook, and cases in which it fires and clears."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from deploy.dashboards.__main__ import BOARDS
from mesh.metrics import FAILURES
from services.metrics import CATALOGUE
from tests.deploy.metric_names import declared
from tests.deploy.programs import ROOT, program, read_yaml, run
from tests.deploy.rule_cases import PROMETHEUS, cases, lay_out

RULES: list[dict[str, Any]] = [
    rule for group in read_yaml(PROMETHEUS / "rules.yml")["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RUNBOOKS = ROOT / "docs/runbooks"
SLO_ALERTS = {name: alert for name, alert in ALERTS.items() if name.endswith("Burn")}


@pytest.fixture
def promtool() -> str:
    return program("promtool", "Debian: prometheus")


def test_the_configuration_is_valid(promtool: str) -> None:
    # Its certificates are where compose mounts them.
    result = run(promtool, "check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")
    assert result.returncode == 0, result.stdout


def test_the_rules_pass_their_cases(promtool: str, tmp_path: Path) -> None:
    files = lay_out(tmp_path, read_yaml(PROMETHEUS / "rules.yml"))
    result = run(promtool, "test", "rules", *files)
    assert result.returncode == 0, result.stdout


def test_alerts_that_never_fire_are_found(promtool: str, tmp_path: Path) -> None:
    rules = read_yaml(PROMETHEUS / "rules.yml")
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                rule["expr"] = "vector(0) > 1"
    said = run(promtool, "test", "rules", *lay_out(tmp_path, rules)).stdout
    assert [name for name in ALERTS if f"alertname: {name}," not in said] == []


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_is_seen_to_fire_and_then_to_clear(name: str) -> None:
    cleared = []
    for _, case in cases():
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


def test_each_rule_of_the_design_has_an_alert() -> None:
    assert {alert["labels"]["rule"] for alert in ALERTS.values()} == {*(f"R{n}" for n in range(1, 10)), "service"}


def test_the_alertmanager_s_configuration_is_valid_and_pages_are_told_to_the_pager() -> None:
    amtool = program("amtool", "Debian: prometheus-alertmanager")
    file = PROMETHEUS / "alertmanager.yml"
    result = run(amtool, "check-config", file)
    assert result.returncode == 0, result.stdout
    for severity, receiver in (("page", "pager"), ("ticket", "tickets")):
        for rule in ("R4", "service"):
            told = run(
                amtool, "config", "routes", "test", f"--config.file={file}", f"severity={severity}", f"rule={rule}"
            )
            assert told.stdout.split()[-1] == receiver, told.stdout


def test_what_the_alertmanager_keeps_quiet_exists_and_is_about_serving() -> None:
    """What may have become of a photo is told, whatever else fires."""
    rules = read_yaml(PROMETHEUS / "alertmanager.yml")["inhibit_rules"]
    for rule in rules:
        sources, targets = _alerts_in([rule["source_matchers"]]), _alerts_in([rule["target_matchers"]])
        assert sources and sources <= set(ALERTS)
        assert targets, "a rule that names no alert would keep quiet any"
        assert {name: ALERTS[name]["labels"]["rule"] for name in targets} == dict.fromkeys(targets, "service")
        assert 'rule="service"' in rule["target_matchers"]


def _alerts_in(matchers: Iterable[list[str]]) -> set[str]:
    return {name for several in matchers for each in several for name in re.findall(r"Mayfly\w+", each)}


def test_no_secret_stands_in_the_alertmanager_s_configuration() -> None:
    for receiver in read_yaml(PROMETHEUS / "alertmanager.yml")["receivers"]:
        for hook in receiver["webhook_configs"]:
            assert set(hook["http_config"]["authorization"]) == {"credentials_file"}


def test_the_page_of_objectives_has_each_of_them_with_its_bound() -> None:
    page = (ROOT / "docs/slo.md").read_text()
    records = [rule for rule in RULES if rule.get("record") == "mayfly:slo_failures:rate5m"]
    assert len(records) == len(SLO_ALERTS)
    for record in records:
        slo = record["labels"]["slo"]
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{slo}` |")]
        for bound in re.findall(r'le="(\d+)\.0"', record["expr"]):
            assert f"{bound} s" in row
        (alert,) = [alert for alert in SLO_ALERTS.values() if f'slo="{slo}"' in alert["expr"]]
        budget = float(alert["expr"].partition("14.4 * ")[2].split()[0])
        assert f"| {100 - 100 * budget:g} % |" in row
        assert alert["expr"].count(f"14.4 * {budget:g}") == alert["expr"].count(f"6 * {budget:g}") == 2


def test_what_the_availability_counts_as_a_failure_is_what_is_there_from_0_on() -> None:
    """A code whose series begins at 1 would not be seen to rise."""
    failures = [rule for rule in RULES if rule.get("record") == "mayfly:slo_failures:rate5m"]
    (failed,) = [rule for rule in failures if rule["labels"]["slo"] == "availability"]
    assert set(re.findall(r"[A-Z]+_?[A-Z]+", failed["expr"].partition("grpc_code=")[2])) == set(FAILURES)


def test_no_runbook_is_left_over() -> None:
    assert {page.stem for page in RUNBOOKS.glob("Mayfly*.md")} == set(ALERTS)


@pytest.mark.parametrize("page", [*sorted(RUNBOOKS.glob("*.md")), ROOT / "docs/slo.md"], ids=lambda page: page.stem)
def test_a_page_for_whoever_is_woken_names_what_exists(page: Path) -> None:
    """Series to ask for, panels to look at, runbooks to go on with."""
    text = page.read_text()
    names = set(re.findall(r"\b(?:mayfly[_:]|grpc_server_)[a-z0-9_:]*[a-z0-9]\b", text))
    assert names <= declared() | {metric.name for metric in CATALOGUE}
    for board, titles in re.findall(r"\*(Promises|Mesh|Render)\*, panels? ((?:\*[^*]+\*(?:, | and )?)+)", text):
        (panels,) = ({panel.title for panel in each.panels} for each in BOARDS if each.title == board)
        assert set(re.findall(r"\*([^*]+)\*", titles)) <= panels
    assert set(re.findall(r"\bMayfly[A-Z]\w+(?=\.md)", text)) <= set(ALERTS)


def test_operations_lists_every_alert() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    assert [name for name in ALERTS if f"runbooks/{name}.md" not in page] == []
