"""The dashboard *Where are the photos now*, from code. ``--check`` compares with the committed file instead of writing.

Usage: python deploy/grafana/where_are_the_photos.py [--check]
"""

from __future__ import annotations

import string
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model

FILE = Path(__file__).with_name("where-are-the-photos-now.json")
LIVE = 'sum(mayfly_leases{state=~"granted|active|parked|claimed|ending"})'
_WIDTH = 24  # columns of Grafana's grid
_SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")


@dataclass(frozen=True, slots=True)
class Graph:
    """Something over time. queries: PromQL with its legend. unit: Grafana's id of a unit. signed: may be below 0."""

    title: str
    says: str
    unit: str
    queries: Sequence[tuple[str, str]]
    width: int = 8
    height: int = 7
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """Numbers of now. Red from ``bad`` on. ``yes_no``: 1 is green and reads "yes", 0 is red and reads "no"."""

    title: str
    says: str
    unit: str
    queries: Sequence[tuple[str, str]]
    bad: float | None = None
    yes_no: bool = False
    width: int = 4
    height: int = 4


Row = tuple[str, Sequence[Graph | Figure]]

ROWS: tuple[Row, ...] = (
    (
        "Now",
        (
            Figure("Photos in the mesh", "Leases that have not ended.", "none", [(LIVE, "")]),
            Figure(
                "Oldest photo",
                "The age of the photo that a service has held longest. The longest lease is 300 s.",
                "s",
                [("max(mayfly_custody_oldest_seconds)", "")],
                bad=300,
            ),
            Figure(
                "Held past the lease",
                "Photos in a service's memory whose time is over. Always 0.",
                "none",
                [("max(mayfly_custody_overdue_photos or mayfly_custody_overdue)", "")],
                bad=1,
            ),
            Figure(
                "Longest overdue lease",
                "A lease past its end that has no receipt yet.",
                "s",
                [("max(mayfly_lease_overdue_seconds)", "")],
                bad=2,
            ),
            Figure(
                "Keys that would stay",
                "Keys of Redis without a TTL. Always 0.",
                "none",
                [("sum(mayfly_registry_keys_without_ttl)", "")],
                bad=1,
            ),
            Figure(
                "Nothing goes to a disk",
                "Redis persistence is off, as purge attests it all the time.",
                "bool_yes_no",
                [("min(mayfly_registry_safe)", "")],
                yes_no=True,
            ),
        ),
    ),
    (
        "Which service holds them",
        (
            Graph(
                "Photos by service",
                "Live custody at each hop, by the holder's own word.",
                "none",
                [("sum by (service) (mayfly_custody_photos)", "{{service}}")],
            ),
            Graph(
                "Bytes by service",
                "Bytes of photos that each service has taken in and holds.",
                "bytes",
                [("sum by (service) (mayfly_custody_bytes)", "{{service}}")],
            ),
            Graph(
                "Oldest photo by service",
                "Age of the photo held longest.",
                "s",
                [("max by (service) (mayfly_custody_oldest_seconds)", "{{service}}")],
            ),
            Graph(
                "How long a service holds a photo",
                "99 of 100 photos are released within this time.",
                "s",
                [
                    (
                        "histogram_quantile(0.99, sum by (le, service) "
                        "(rate(mayfly_custody_seconds_bucket[$__rate_interval])))",
                        "{{service}}",
                    )
                ],
            ),
            Graph(
                "Does purge see the same?",
                "Holders that purge knows of, minus what the holders say themselves. 0 but for the blink of a report.",
                "none",
                [("sum by (service) (mayfly_custody_held) - sum by (service) (mayfly_custody_photos)", "{{service}}")],
                signed=True,
            ),
            Graph(
                "Dropped or lost",
                "Work that was cut off (by reason), and photos whose holder died.",
                "none",
                [
                    (
                        "sum by (service, reason) (increase(mayfly_custody_dropped_total[$__rate_interval])) "
                        "or vector(0)",
                        "dropped by {{service}}: {{reason}}",
                    ),
                    (
                        "sum by (service) (increase(mayfly_custody_lost_total[$__rate_interval])) or vector(0)",
                        "lost by {{service}}",
                    ),
                ],
            ),
        ),
    ),
    (
        "Admitted = live + ended",
        (
            Graph(
                "Admitted and ended",
                "Leases a second: what comes in, and how it ends.",
                "cps",
                [
                    ("sum(rate(mayfly_leases_granted_total[$__rate_interval]))", "admitted"),
                    ("sum by (outcome) (rate(mayfly_leases_ended_total[$__rate_interval]))", "{{outcome}}"),
                ],
            ),
            Graph(
                "Leases by state",
                "Where each lease is on its way.",
                "none",
                [("sum by (state) (mayfly_leases)", "{{state}}")],
            ),
            Graph(
                "Unaccounted for",
                "Granted minus live minus ended. Never above 0, and level but for purge's restarts.",
                "none",
                [("mayfly:leases_unaccounted", "leases")],
                signed=True,
            ),
        ),
    ),
    (
        "Redis",
        (
            Graph(
                "Keys",
                "All keys, and those that have no TTL.",
                "none",
                [
                    ("sum(mayfly_registry_keys)", "keys"),
                    ("sum(mayfly_registry_keys_without_ttl)", "without a TTL"),
                ],
            ),
            Graph(
                "Parked pictures",
                "Encrypted pictures that wait for their owner.",
                "none",
                [("sum(mayfly_parked_pictures)", "pictures")],
                width=4,
            ),
            Graph(
                "Parked bytes",
                "Ciphertext; the key is not in Redis.",
                "bytes",
                [("sum(mayfly_parked_bytes)", "bytes")],
                width=4,
            ),
            Figure(
                "Reachable",
                "Purge has an answer from its Redis.",
                "bool_yes_no",
                [("min(mayfly_registry_up)", "")],
                yes_no=True,
                height=7,
            ),
            Figure(
                "What is wrong with it",
                "Facts about Redis's set-up that break rule R3, by name.",
                "none",
                [("max by (fact) (mayfly_registry_violation) > 0 or vector(0)", "{{fact}}")],
                bad=1,
                height=7,
            ),
        ),
    ),
    (
        "Does everybody listen, is everybody locked down",
        (
            Figure(
                "Custody stream",
                "Purge hears this service's reports, and its revocations get there.",
                "bool_yes_no",
                [('min by (service) (mayfly_custody_stream_up{service!="purge"})', "{{service}}")],
                yes_no=True,
                width=6,
                height=6,
            ),
            Figure(
                "Revocations unconfirmed",
                "A family took a photo back, and a holder has not said yet that it let go.",
                "none",
                [("sum(mayfly_revocations_unconfirmed)", "")],
                bad=1,
                height=6,
            ),
            Figure(
                "Lockdown",
                "Each control, where it is weakest: in force in every process of the service, or not.",
                "bool_yes_no",
                [
                    (
                        'min by (service, control) (mayfly_lockdown_control{control!="lockdown_permissive"})',
                        "{{service}} {{control}}",
                    )
                ],
                yes_no=True,
                width=14,
                height=6,
            ),
        ),
    ),
    (
        "Receipts",
        (
            Graph(
                "Receipts",
                "Signed and logged, a second, by outcome.",
                "cps",
                [("sum by (outcome) (rate(mayfly_receipts_total[$__rate_interval]))", "{{outcome}}")],
            ),
            Figure(
                "Not in the log yet",
                "Leases that ended and whose receipt is not logged.",
                "none",
                [("sum(mayfly_receipts_unlogged)", "")],
                bad=1,
                height=7,
            ),
            Graph(
                "Log",
                "Entries, and those under a signed checkpoint.",
                "none",
                [("sum(mayfly_log_entries)", "entries"), ("sum(mayfly_log_integrated_entries)", "under a checkpoint")],
                width=6,
            ),
            Graph(
                "Time to disk of an entry",
                "A grant is durable in the log before the app may send its photo.",
                "s",
                [
                    (
                        "histogram_quantile(0.99, sum by (le) "
                        "(rate(mayfly_log_sync_seconds_bucket[$__rate_interval])))",
                        "99 of 100 within",
                    )
                ],
                width=6,
            ),
        ),
    ),
    (
        "Work",
        (
            Graph(
                "Photos on their way",
                "In the gateway, and how many it lets in.",
                "none",
                [
                    ("sum(mayfly_gateway_photos_in_flight)", "on their way"),
                    ("sum(mayfly_gateway_photos_in_flight_limit)", "limit"),
                ],
                width=6,
            ),
            Graph(
                "Engine",
                "Slots in use, and photos that wait for one.",
                "none",
                [
                    ("sum(mayfly_render_slots_used)", "in use"),
                    ("sum(mayfly_render_slots)", "slots"),
                    ("sum(mayfly_render_queue_photos)", "waiting"),
                ],
                width=6,
            ),
            Graph(
                "Refused",
                "Photos that did not end in a picture, a second, by reason.",
                "cps",
                [
                    (
                        "sum by (reason) (rate(mayfly_gateway_refused_total[$__rate_interval])) or vector(0)",
                        "{{reason}}",
                    )
                ],
                width=6,
            ),
            Graph(
                "Failures",
                "Our own failures among all answers, over five minutes.",
                "percentunit",
                [("mayfly:rpc_failures:ratio_rate5m", "{{job}}")],
                width=6,
            ),
        ),
    ),
)


def build() -> str:
    """The dashboard as Grafana's JSON."""
    board = (
        dashboard.Dashboard("Where are the photos now")
        .uid("mayfly-where-are-the-photos-now")
        .description("Every photo that Mayfly holds, where, for how long, and the proof that the others are gone.")
        .tags(["mayfly"])
        .refresh("5s")
        .time("now-15m", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    top, number = 0, 1
    for title, panels in ROWS:
        board = board.with_row(dashboard.Row(title).grid_pos(model.GridPos(h=1, w=_WIDTH, x=0, y=top)).id(number))
        top, number, left, tallest = top + 1, number + 1, 0, 0
        for panel in panels:
            if left + panel.width > _WIDTH:
                top, left, tallest = top + tallest, 0, 0
            place = model.GridPos(h=panel.height, w=panel.width, x=left, y=top)
            board = board.with_panel(_built(panel, place, number))
            left, tallest, number = left + panel.width, max(tallest, panel.height), number + 1
        top += tallest
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def _built(panel: Graph | Figure, place: model.GridPos, number: int) -> timeseries.Panel | stat.Panel:
    built = _graph(panel) if isinstance(panel, Graph) else _figure(panel)
    built = built.id(number).title(panel.title).description(panel.says).unit(panel.unit)
    built = built.datasource(_SOURCE).grid_pos(place)
    for letter, (expression, legend) in zip(string.ascii_uppercase, panel.queries, strict=False):
        query = prometheus.Dataquery().ref_id(letter).expr(expression).datasource(_SOURCE)
        built = built.with_target(query.legend_format(legend) if legend else query)
    return built


def _graph(panel: Graph) -> timeseries.Panel:
    legend = common.VizLegendOptions().show_legend(True).placement(words.LegendPlacement.BOTTOM)
    built = timeseries.Panel().fill_opacity(10).show_points(words.VisibilityMode.NEVER).legend(legend)
    return built if panel.signed else built.min(0)


def _figure(panel: Figure) -> stat.Panel:
    built = stat.Panel().graph_mode(words.BigValueGraphMode.NONE).color_mode(words.BigValueColorMode.BACKGROUND)
    built = built.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    steps = [model.Threshold(value=None, color="green")]
    if panel.yes_no:
        steps = [model.Threshold(value=None, color="red"), model.Threshold(value=1, color="green")]
    elif panel.bad is not None:
        steps.append(model.Threshold(value=panel.bad, color="red"))
    return built.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))


def main() -> None:
    built = build()
    if "--check" not in sys.argv:
        FILE.write_text(built, encoding="utf-8")
    elif FILE.read_text(encoding="utf-8") != built:
        sys.exit(f"{FILE.name} is not what {Path(__file__).name} builds; run it without --check")


if __name__ == "__main__":
    main()
