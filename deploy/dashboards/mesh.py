"""*Mesh*: what is asked of each service, how that goes (rate, errors, duration), and how full everything is."""

from __future__ import annotations

from deploy.dashboards.alerting import state
from deploy.dashboards.panel import Board, Figure, Graph, Limit, Row, grown, per_second, quantile, yes, zero

_FAILED = '{grpc_code=~"UNKNOWN|INTERNAL|UNAVAILABLE|DATA_LOSS|DEADLINE_EXCEEDED"}'

UP = Row(
    "Is it there",
    (
        yes(
            "Answers",
            "Prometheus reaches the service's ops port.",
            ('min by (job) (up{job!="auditor"})', "{{job}}"),
            alerts=["MayflyServiceDown", "MayflyAuditSilent"],
            width=7,
            height=5,
        ),
        state(
            "service", "Serving", "Alerts about serving at all, from services that are down to late pictures.", width=4
        ),
        Figure(
            title="Running since",
            says="The time since the youngest process of the service was started.",
            unit="s",
            queries=[("time() - max by (job) (process_start_time_seconds)", "{{job}}")],
            width=6,
            height=5,
        ),
        Figure(
            title="Versions",
            says="Processes of each version. More than one for a service: a rollout, or one that was forgotten.",
            unit="none",
            queries=[("count by (service, version) (mayfly_build_info)", "{{service}} {{version}}")],
            width=7,
            height=5,
        ),
    ),
)

RED = Row(
    "Rate, errors, duration of each method",
    (
        Graph(
            title="Calls",
            says="Calls that ended, a second, by method.",
            unit="cps",
            queries=[(per_second("grpc_server_handled_total", "job", "grpc_method"), "{{job}} {{grpc_method}}")],
        ),
        Graph(
            title="Errors",
            says="Our own failures a second: internal, unavailable, deadline. UNAVAILABLE of Collect means: not yet.",
            unit="cps",
            queries=[
                (
                    # Every method has each of them from 0 on: shown is what there is.
                    f"sum by (job, grpc_method, grpc_code) (rate(grpc_server_handled_total{_FAILED}[$__rate_interval]))"
                    " > 0 or on () vector(0)",
                    "{{job}} {{grpc_method}} {{grpc_code}}",
                )
            ],
            alerts=["MayflyRpcFailures"],
        ),
        Graph(
            title="Duration",
            says="95 of 100 calls take less. Streams last as long as their photo, or their connection.",
            unit="s",
            queries=[
                (quantile(0.95, "grpc_server_handling_seconds", "job", "grpc_method"), "{{job}} {{grpc_method}}"),
            ],
        ),
        Graph(
            title="Failures among all answers",
            says="Over five minutes, by service.",
            unit="percentunit",
            queries=[("mayfly:rpc_failures:ratio_rate5m", "{{job}}")],
            limit=Limit(0.05),
            alerts=["MayflyRpcFailures"],
        ),
        Graph(
            title="Pictures",
            says="Photos that ended in a picture, a second, by how it got to its owner.",
            unit="cps",
            queries=[(per_second("mayfly_gateway_journeys_total", "outcome"), "{{outcome}}")],
        ),
        Graph(
            title="Refused",
            says="Photos that did not end in a picture, a second, by reason. Most are the callers' own.",
            unit="cps",
            queries=[(per_second("mayfly_gateway_refused_total", "reason"), "{{reason}}")],
        ),
    ),
)

FULL = Row(
    "How full is it",
    (
        Graph(
            title="Photos on their way",
            says="In the gateway, and how many it lets in.",
            unit="none",
            queries=[
                ("sum(mayfly_gateway_photos_in_flight)", "on their way"),
                ("sum(mayfly_gateway_photos_in_flight_limit)", "limit"),
            ],
            width=6,
        ),
        Graph(
            title="Engine slots",
            says="In use, and how many there are.",
            unit="none",
            queries=[("sum(mayfly_render_slots_used)", "in use"), ("sum(mayfly_render_slots)", "slots")],
            width=6,
        ),
        Graph(
            title="Queue",
            says="Photos that wait for an engine slot, by service class.",
            unit="none",
            queries=[("sum by (service_class) (mayfly_render_queue_photos)", "{{service_class}}")],
            width=6,
        ),
        Graph(
            title="Calls in progress",
            says="Begun and not ended, by service. Custody streams are among them.",
            unit="none",
            queries=[
                (
                    "sum by (job) (grpc_server_started_total) - sum by (job) (grpc_server_handled_total)",
                    "{{job}}",
                )
            ],
            width=6,
        ),
        Graph(
            title="CPU",
            says="Cores that each service keeps busy, its decoders aside.",
            unit="none",
            queries=[("sum by (job) (rate(process_cpu_seconds_total[$__rate_interval]))", "{{job}}")],
        ),
        Graph(
            title="Memory",
            says="Resident bytes. What is freed is overwritten, and given back.",
            unit="bytes",
            queries=[("sum by (job) (process_resident_memory_bytes)", "{{job}}")],
        ),
        Graph(
            title="Open files and connections",
            says="As a share of what the process may have.",
            unit="percentunit",
            queries=[("max by (job) (process_open_fds / process_max_fds)", "{{job}}")],
            limit=Limit(0.9, warns=0.7),
        ),
    ),
)

INSIDE = Row(
    "Decoders and sweeps",
    (
        Graph(
            title="Isolated decoders",
            says="Jobs that ended, a second, by how. refused, timed_out, out_of_memory: broken or hostile photos.",
            unit="cps",
            queries=[(per_second("mayfly_isolation_jobs_total", "service", "outcome"), "{{service}} {{outcome}}")],
            alerts=["MayflyDecoderForbidden"],
        ),
        Graph(
            title="Time of a decoder",
            says="From its fork to its end: 95 of 100 within.",
            unit="s",
            queries=[(quantile(0.95, "mayfly_isolation_seconds", "service"), "{{service}}")],
        ),
        zero(
            "Decoders that were killed",
            "For asking the kernel for what no decoder asks for; in the time shown.",
            (grown("mayfly_isolation_jobs_total", where='{outcome="forbidden"}', window="$__range"), ""),
            alerts=["MayflyDecoderForbidden"],
            width=8,
            height=7,
        ),
        Graph(
            title="Sweeps",
            says="Of memory and connections after photos, a second; a failed one is tried again.",
            unit="cps",
            queries=[(per_second("mayfly_sweeps_total", "service", "outcome"), "{{service}} {{outcome}}")],
            alerts=["MayflyMemoryUnswept"],
            width=12,
        ),
        Graph(
            title="Scrubbed",
            says="Photos that ingest has scrubbed, a second, by format.",
            unit="cps",
            queries=[(per_second("mayfly_ingest_photos_total", "format"), "{{format}}")],
            alerts=["MayflyScrubDisagreement"],
            width=12,
        ),
    ),
)

BOARD = Board(
    name="mesh",
    title="Mesh",
    says="What is asked of each service and how that goes, and how full everything is.",
    rows=(UP, RED, FULL, INSIDE),
)
