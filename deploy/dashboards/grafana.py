"""Dashboards as Grafana's JSON, by its own SDK."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model

from deploy.dashboards.alerting import RUNBOOKS
from deploy.dashboards.panel import COLUMNS, Bars, Board, Figure, Graph, Limit, Panel

_SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
_TAG = "mayfly"


def encode(board: Board) -> str:
    """The dashboard as a file that Grafana imports or provisions."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(f"mayfly-{board.name}")
        .description(board.says)
        .tags([_TAG])
        .refresh("5s")
        .time("now-15m", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_others())
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(dashboard.TextBoxVariable("runbooks").label("Runbooks are at").default_value(RUNBOOKS))
    )
    top, number = 0, 1
    for row in board.rows:
        place = model.GridPos(h=1, w=COLUMNS, x=0, y=top)
        built = built.with_row(dashboard.Row(row.title).grid_pos(place).id(number))
        places = list(_places(row.panels, top + 1))
        for number, (panel, place) in enumerate(zip(row.panels, places, strict=True), number + 1):  # noqa: B020 - goes on
            built = built.with_panel(_built(panel).grid_pos(place).id(number))
        top, number = max(place.y + place.h for place in places), number + 1
    return JSONEncoder(sort_keys=True, indent=2).encode(built.build()) + "\n"


def _places(panels: Sequence[Panel], top: int) -> Iterator[model.GridPos]:
    """From left to right, and below the tallest when there is no room."""
    left, tallest = 0, 0
    for panel in panels:
        if left + panel.width > COLUMNS:
            top, left, tallest = top + tallest, 0, 0
        yield model.GridPos(h=panel.height, w=panel.width, x=left, y=top)
        left, tallest = left + panel.width, max(tallest, panel.height)


def _others() -> dashboard.DashboardLink:
    kind = model.DashboardLinkType.DASHBOARDS
    return dashboard.DashboardLink("Mayfly").type(kind).tags([_TAG]).keep_time(True).include_vars(True)


def _built(panel: Panel) -> Any:
    """A builder of the kind that fits; they share no type."""
    built: Any
    if isinstance(panel, Graph):
        built = _graph(panel)
    elif isinstance(panel, Bars):
        built = _bars(panel)
    else:
        assert isinstance(panel, Figure)
        built = _figure(panel)
    built = built.title(panel.title).description(panel.says).unit(panel.unit).datasource(_SOURCE)
    built = built.thresholds(_thresholds(panel.limit)).links([_runbook(alert) for alert in panel.alerts])
    for letter, (expression, legend) in zip(string.ascii_uppercase, panel.queries, strict=False):
        query = prometheus.Dataquery().ref_id(letter).expr(expression).datasource(_SOURCE)
        query = query if isinstance(panel, Graph) else query.instant()
        built = built.with_target(query.legend_format(legend) if legend else query)
    return built


def _runbook(alert: str) -> dashboard.DashboardLink:
    link = dashboard.DashboardLink(f"Runbook of {alert}").type(model.DashboardLinkType.LINK)
    return link.url(f"${{runbooks}}/{alert}.md").target_blank(True)


def _graph(panel: Graph) -> timeseries.Panel:
    legend = common.VizLegendOptions().show_legend(True).placement(words.LegendPlacement.BOTTOM)
    built = timeseries.Panel().fill_opacity(10).show_points(words.VisibilityMode.NEVER).legend(legend)
    if panel.stacked:
        built = built.stacking(common.StackingConfig().mode(words.StackingMode.NORMAL)).fill_opacity(30)
    if panel.limit is not None:
        style = common.GraphThresholdsStyleConfig().mode(words.GraphTresholdsStyleMode.DASHED)
        built = built.thresholds_style(style)
    return built if panel.signed else built.min(0)


def _bars(panel: Bars) -> bargauge.Panel:
    built = bargauge.Panel().orientation(words.VizOrientation.HORIZONTAL).show_unfilled(True).min(0)
    built = built.display_mode(words.BarGaugeDisplayMode.BASIC).reduce_options(_last())
    return built if panel.full is None else built.max(panel.full)


def _figure(panel: Figure) -> stat.Panel:
    built = stat.Panel().graph_mode(words.BigValueGraphMode.NONE).color_mode(words.BigValueColorMode.BACKGROUND)
    built = built.reduce_options(_last()).no_value("no data")
    if panel.words is None:
        return built
    texts = {str(value): model.ValueMappingResult(text=word) for value, word in panel.words.items()}
    return built.mappings([model.ValueMap(options=texts)])


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def _thresholds(limit: Limit | None) -> dashboard.ThresholdsConfig:
    """Grafana's steps go upwards: each colour holds from its value on."""
    if limit is None:
        steps: list[tuple[float | None, str]] = [(None, "green")]
    elif not limit.below:
        steps = [(None, "green"), (limit.warns, "orange"), (limit.at, "red")]
        steps = steps[:1] + [step for step in steps[1:] if step[0] is not None]
    else:
        # "Down from it": so the better colour begins just above.
        steps = [(None, "red"), (_above(limit.at), "orange" if limit.warns is not None else "green")]
        steps += [] if limit.warns is None else [(_above(limit.warns), "green")]
    built = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(built)


def _above(value: float) -> float:
    return round(value + 1e-9 * max(1.0, abs(value)), 12)
