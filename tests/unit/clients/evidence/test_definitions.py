"""Every figure has a meaning, every query is one, and what was short is not missed by it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from clients.evidence.definitions import DEFINITIONS, ONLY
from clients.evidence.period import Period
from services.purge.evidence.prometheus import FIRED, state_query
from tests.deploy.metric_names import declared
from tests.deploy.programs import program, run
from tests.unit.clients.evidence.logs import NOW, Shards, grant, receipt
from tests.unit.clients.evidence.test_figures import figures

PERIOD = Period(0, 600)
WHOLE = {"reasons", "days", "custody", "lockdown", "processors", "policy_versions"}
"""Figures whose parts are services, days, names: defined as one."""


def test_each_figure_is_defined_once_and_nothing_else_is(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.add(0, grant(1, NOW), receipt(1, NOW - 10))
    reported = {
        name
        for group, value in figures(shards, 0).items()
        for name in ([group] if group in WHOLE else [f"{group}.{part}" for part in value])
    }
    named: list[str] = []
    for definition in DEFINITIONS:
        if not definition.figure.endswith(ONLY):
            group, _, parts = definition.figure.partition(".")
            named += [f"{group}.{part}" for part in parts.split(", ")] if parts else [group]
    assert sorted(named) == sorted(reported)
    assert all(each.meaning.endswith(".") and each.log.endswith(".") for each in DEFINITIONS)
    assert all(each.query and each.log.startswith("Not in the log") for each in DEFINITIONS if ONLY in each.figure)


def test_every_query_is_promql_over_series_that_there_are(tmp_path: Path) -> None:
    queries = [definition.over(PERIOD) for definition in DEFINITIONS if definition.query]
    assert len(set(queries)) == len(queries), "an answer stands for one figure"
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "evidence", "rules": rules}]}))  # JSON is YAML
    result = run(program("promtool", "Debian: prometheus"), "check", "rules", tmp_path / "rules.yml")
    assert result.returncode == 0 and f"{len(rules)} rules found" in result.stdout, result.stdout
    for query in queries:
        asked = set(
            re.findall(r"\b(?:mayfly_[a-z0-9_]+|mayfly:[a-z0-9_:]+|up|ALERTS)\b", re.sub(r'"[^"]*"', "", query))
        )
        assert asked and asked <= declared() | {"ALERTS"}, query


def query_of(figure: str) -> str:
    return next(each.over(PERIOD) for each in DEFINITIONS if each.figure.startswith(figure))


ALERT = 'ALERTS{alertname="Short",alertstate="firing",rule="R3"}'
FOR_STATE = 'ALERTS_FOR_STATE{alertname="Short",rule="R3"}'
BEFORE = "_x49 "  # 250 s without
GONE = " stale _x80"
BREACHES = [
    # Ten seconds, two evaluations, between two whole minutes.
    (query_of("alerts"), {ALERT: f"{BEFORE}1x1{GONE}"}, '{rule="R3"} 2'),
    (query_of("persistence"), {'mayfly_registry_violation{fact="save"}': "0x49 1 0x80"}, '{fact="save"} 1'),
    (query_of("keys without an end"), {"mayfly_registry_keys_without_ttl": "0x49 3 0x80"}, "{} 3"),
    (query_of("custody past"), {'mayfly_custody_overdue_photos{service="render"}': "0x49 2 0x80"}, "{} 2"),
    (
        query_of("lockdown"),
        {'mayfly_lockdown_control{service="render",control="seccomp"}': "1x49 0 1x80"},
        '{service="render",control="seccomp"} 0',
    ),
    (
        query_of("audits.statements"),
        {'mayfly_canary_residue_bytes{service="ingest",where="memory"}': "0x49 7 0x80"},
        '{service="ingest",where="memory"} 7',
    ),
    (query_of("conservation.balanced"), {"mayfly:leases_unaccounted": "0x49 1x18 0x80"}, "{} 1"),
    (query_of("conservation.balanced"), {"mayfly:leases_unaccounted": "0x49 1 0x80"}, "{} 0"),  # one reading is none
    (query_of("readings"), {'up{job="purge"}': "1x120"}, '{job="purge"} 121'),
    # What the page asks: when an alert was last there.
    (FIRED, {FOR_STATE: f"{BEFORE}250x1{GONE}"}, '{rule="R3"} 250'),
    (FIRED, {ALERT: f"{BEFORE}1x40{GONE}", FOR_STATE: f"{BEFORE}250x40{GONE}"}, '{rule="R3"} 420'),
    (state_query("R3"), {ALERT: "_x119 1", "up": "1x120"}, "{} 2"),
    (state_query("R3"), {ALERT: f"{BEFORE}1x1{GONE}", "up": "1x120"}, "{} 0"),
]


@pytest.mark.parametrize(("query", "series", "answer"), BREACHES)
def test_what_was_short_is_seen(query: str, series: dict[str, str], answer: str, tmp_path: Path) -> None:
    labels, _, value = answer.rpartition(" ")
    case = {
        "interval": "5s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": query, "eval_time": "600s", "exp_samples": [{"labels": labels, "value": float(value)}]}
        ],
    }
    (tmp_path / "case.yml").write_text(json.dumps({"evaluation_interval": "5s", "tests": [case]}))  # JSON is YAML
    result = run(program("promtool", "Debian: prometheus"), "test", "rules", tmp_path / "case.yml")
    assert result.returncode == 0, result.stdout
