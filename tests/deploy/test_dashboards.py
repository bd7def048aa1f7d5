"""Dashboards are what their code builds, for Grafana and as consoles, and name alerts that exist."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from deploy.dashboards import console, grafana
from deploy.dashboards.__main__ import BOARDS, drifted, files
from deploy.dashboards.panel import UNITS, Bars, Board, Figure, Graph, Limit, Panel, Row
from tests.deploy.programs import DEPLOY, ROOT
from tests.deploy.test_alerts import ALERTS

PANELS = [pytest.param(panel, id=f"{board.name}: {panel.title}") for board in BOARDS for panel in board.panels]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What is generated, to be spoilt."""
    for name in ("grafana", "prometheus/consoles"):
        shutil.copytree(DEPLOY / name, tmp_path / name)
    return tmp_path


def test_dashboards_have_not_drifted() -> None:
    assert drifted() == []


def test_drift_is_found(copy: Path) -> None:
    board = copy / "grafana/mesh.json"
    board.write_text(board.read_text().replace("Mesh", "Net"))
    (copy / "grafana/another.json").write_text("{}")
    (copy / "prometheus/consoles/render.html").unlink()
    assert drifted(copy) == ["another.json", "mesh.json", "render.html"]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows(panel: Panel) -> None:
    assert panel.unit in UNITS
    assert panel.says.endswith(".")
    assert panel.queries
    assert set(panel.alerts) <= set(ALERTS)
    assert len({name for _, name in panel.queries}) == len(panel.queries)
    if isinstance(panel, Bars) and panel.full is None:
        assert len(panel.queries) == 1, "which of them would be the longest bar?"


def test_every_alert_is_watched_from_some_panel() -> None:
    """So whoever is paged finds the figure, and whoever sees the figure finds the runbook."""
    assert {alert for board in BOARDS for panel in board.panels for alert in panel.alerts} == set(ALERTS)


def test_the_figures_of_a_check_in_the_docs_are_true() -> None:
    (line,) = re.findall(
        r"^(\d+)/(\d+) panels · (\d+)/(\d+) alerts ·", (ROOT / "docs/cli.md").read_text(), re.MULTILINE
    )
    panels = sum(len(board.panels) for board in BOARDS)
    assert [int(figure) for figure in line] == [panels, panels, len(ALERTS), len(ALERTS)]


def test_grafana_gets_units_thresholds_and_runbooks() -> None:
    for board in BOARDS:
        built = [panel for panel in json.loads(grafana.encode(board))["panels"] if panel["type"] != "row"]
        assert [panel["title"] for panel in built] == [panel.title for panel in board.panels]
        for panel, ours in zip(built, board.panels, strict=True):
            defaults = panel["fieldConfig"]["defaults"]
            assert defaults["unit"] == ours.unit
            assert [link["url"] for link in panel.get("links", ())] == [
                f"${{runbooks}}/{alert}.md" for alert in ours.alerts
            ]
            if ours.limit is not None:
                assert "red" in [step["color"] for step in defaults["thresholds"]["steps"]]


def test_panels_lie_beside_each_other_and_not_upon() -> None:
    for board in BOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(grafana.encode(board))["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not cells & taken, panel["title"]
            taken |= cells


@pytest.mark.parametrize(
    ("limit", "values"),
    [
        (Limit(1), {0: "green", 1: "red"}),
        (Limit(300, warns=120), {119: "green", 120: "orange", 300: "red"}),
        (Limit(0, below=True), {0: "red", 1: "green"}),
        (Limit(0, warns=0.5, below=True), {-1: "red", 0: "red", 0.5: "orange", 0.6: "green"}),
    ],
)
def test_a_limit_is_the_same_colour_in_both(limit: Limit, values: dict[float, str]) -> None:
    figure = Figure(title="t", says="s.", unit="none", queries=[("1", "")], limit=limit)
    board = Board("b", "B", "s.", [Row("r", [figure])])
    (panel,) = (panel for panel in json.loads(grafana.encode(board))["panels"] if panel["type"] != "row")
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    for value, color in values.items():
        reached = [step["color"] for step in steps if step["value"] is None or step["value"] <= value]
        assert reached[-1] == color
    written = console.encode(board, [board])
    for at in (limit.at, limit.warns):
        assert at is None or f"{'le' if limit.below else 'ge'} .Value {float(at)}" in written


def test_a_console_asks_what_grafana_asks() -> None:
    """Every query, its windows apart, stands in the page that Prometheus serves."""
    for board in BOARDS:
        page = files()[DEPLOY / f"prometheus/consoles/{board.name}.html"]
        assert page.count('<section class="panel') == len(board.panels)
        for panel in board.panels:
            for expression, _ in panel.queries:
                asked = expression.replace("$__rate_interval", "1m").replace("$__range", "@range")
                assert asked.replace("\\", "\\\\").replace('"', '\\"') in page, panel.title


def test_consoles_fetch_nothing_from_elsewhere() -> None:
    library = (DEPLOY / "prometheus/console_libraries/mayfly.lib").read_text()
    for text in (library, *(console.encode(board, BOARDS) for board in BOARDS)):
        urls = re.findall(r"https?://[^\s\"'<]+", re.sub(r"{{/\*.*?\*/}}", "", text))
        assert set(urls) <= {"http://www.w3.org/2000/svg"}


def test_provisioning_finds_what_is_generated() -> None:
    providers = (DEPLOY / "grafana/provisioning/dashboards/mayfly.yml").read_text()
    assert "/etc/grafana/dashboards" in providers
    compose = (DEPLOY / "compose/compose.yaml").read_text()
    assert "target: /etc/grafana/dashboards" in compose
    assert "target: /etc/grafana/provisioning" in compose


def test_graphs_are_the_only_panels_of_ranges() -> None:
    for board in BOARDS:
        built = [panel for panel in json.loads(grafana.encode(board))["panels"] if panel["type"] != "row"]
        for panel, ours in zip(built, board.panels, strict=True):
            assert all(bool(target.get("instant")) != isinstance(ours, Graph) for target in panel["targets"])


def test_the_page_about_dashboards_shows_each() -> None:
    page = (ROOT / "docs/dashboards.md").read_text()
    for board in BOARDS:
        assert board.title in page
        assert f"images/{board.name}.png" in page
        picture = ROOT / f"docs/images/{board.name}.png"
        assert picture.stat().st_size < 300_000
