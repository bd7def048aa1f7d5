"""Rules and dashboards ask for metrics that exist, and a real Prometheus answers every one of their queries."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import generate_latest

from clients.observe.panels import Panel, faults
from mesh.testing.wait import eventually
from services.metrics import CATALOGUE
from services.render.metrics import DIFFUSE
from tests.deploy.exporter import Mesh, exporting
from tests.deploy.metric_names import PENDING, asked_for, declared
from tests.deploy.panels import check_panels, firing, get, panels, queries
from tests.deploy.programs import program, run
from tests.deploy.prometheus import PrometheusServer


def test_rules_and_panels_ask_for_what_exists() -> None:
    known = declared()
    missing = {name: sorted(who) for name, who in asked_for().items() if name not in known | PENDING}
    assert missing == {}


def test_nothing_is_pending() -> None:
    assert frozenset() == PENDING


def test_the_list_has_what_is_exported(tmp_path: Path) -> None:
    """What the true classes of all processes export is what is listed: all of it, and nothing else."""
    exported = {
        sample.name
        for metrics in Mesh(tmp_path).metrics.values()
        for family in metrics.registry.collect()
        for sample in family.samples
    }
    assert exported == {name for metric in CATALOGUE for name in metric.sample_names}


def test_every_panel_has_a_unit_and_says_what_it_shows() -> None:
    for panel in panels():
        assert panel["fieldConfig"]["defaults"].get("unit"), panel["title"]
        assert panel["description"], panel["title"]
        assert panel["targets"], panel["title"]


def test_every_query_is_promql(tmp_path: Path) -> None:
    promtool = program("promtool", "Debian: prometheus")
    rules = [{"record": f"query:{number}", "expr": expression} for number, (_, expression) in enumerate(queries())]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
    result = run(promtool, "check", "rules", tmp_path / "rules.yml")
    assert result.returncode == 0, result.stdout
    assert f"{len(rules)} rules found" in result.stdout


async def test_a_real_prometheus_fills_every_panel_and_fires_and_clears(tmp_path: Path) -> None:
    (tmp_path / "prometheus").mkdir()
    mesh = Mesh(tmp_path / "log")
    async with exporting(mesh) as targets:
        with PrometheusServer(tmp_path / "prometheus", targets) as prometheus:

            def filled() -> bool:
                """Somebody has taken a step meanwhile: of none there is no time to show."""
                mesh.render.step_seconds.labels(DIFFUSE).observe(0.1)
                return not check_panels(prometheus.url)

            with contextlib.suppress(AssertionError):
                await eventually(filled, within=30, every=0.5)
            assert check_panels(prometheus.url) == []
            assert list(_failing_rules(prometheus.url)) == []
            assert firing(prometheus.url) == set()

            mesh.core.attestation.keys_without_ttl = 3
            await eventually(lambda: firing(prometheus.url) == {"MayflyKeyWithoutTtl"}, within=20, every=0.2)
            mesh.core.attestation.keys_without_ttl = 0
            await eventually(lambda: firing(prometheus.url) == set(), within=20, every=0.2)


def test_a_panel_that_shows_nothing_is_found(tmp_path: Path) -> None:
    asked = {
        "Empty": ("mayfly_no_such_thing",),
        "Broken": ("sum((",),
        "Half": ("1", "mayfly_no_such_thing"),
        "Nothing": ("0 / 0",),
        "Good": ("1", "vector(2)"),
    }
    with PrometheusServer(tmp_path, {"gateway": "127.0.0.1:9"}) as prometheus:
        found = [faults(Panel("Board", title, expressions), prometheus.url) for title, expressions in asked.items()]
    assert [len(each) for each in found] == [1, 1, 1, 1, 0]
    assert "parse error" in found[1][0]
    assert found[3] == ["Board, Nothing: has no number: 0 / 0"]


def test_what_is_exported_is_lint_free(tmp_path: Path) -> None:
    promtool = program("promtool", "Debian: prometheus")
    for service, metrics in Mesh(tmp_path / "log").metrics.items():
        (tmp_path / service).write_bytes(generate_latest(metrics.registry))
        result = run("sh", "-c", f'"{promtool}" check metrics < "{tmp_path / service}"')
        assert result.returncode == 0, f"{service}: {result.stdout}"


def _failing_rules(url: str) -> Iterator[str]:
    for group in get(url, "/api/v1/rules")["groups"]:
        for rule in group["rules"]:
            if rule["health"] == "err":
                yield f"{rule['name']}: {rule.get('lastError')}"
