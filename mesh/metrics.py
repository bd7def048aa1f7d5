"""Metrics that every service has: RPCs by the ecosystem's names, and this process's custody."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from mesh import log
from mesh.config import MAX_REPLICAS
from mesh.instruments import declare, withheld
from mesh.instruments.declare import HOLDERS, SERVICES
from mesh.instruments.label import listed, sourced
from mesh.lockdown.policy import PERMISSIVE, REMEDIES
from mesh.tracing import fields

# Seconds. Fine around what a hop takes, coarse up to the longest lease.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
# For what has a promise to keep: also where leases, objectives and patience end.
FINE_SECONDS = tuple(sorted({*SECONDS, 0.75, 1.5, 2, 3, 7.5, 15, 30, 45, 60, 90, 120, 125, 150, 180, 240, 300, 305}))

METHODS = 32
"""How many RPCs one process serves, at most; each has one type and belongs to one service."""
_SERVICE = listed("service", SERVICES)
_HOLDER = listed("service", HOLDERS)
_SERVED = "what the process serves (protos/, gRPC health and reflection)"
_RPC = (
    listed("grpc_type", ("unary_unary", "unary_stream", "stream_unary", "stream_stream")),
    sourced("grpc_service", _SERVED, 8),
    sourced("grpc_method", _SERVED, METHODS),
)
SPAN_OUTCOMES = ("sent", "failed", "dropped")
"""dropped: too many waited. failed: the collector did not take them, or not in time."""
DROPPED = ("overdue", "revoked")
"""Why a photo is dropped before its work is done."""
# gRPC's, by name; not asked of gRPC, which must not be imported before the lockdown.
CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "UNIMPLEMENTED",
    "OUT_OF_RANGE", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
)  # fmt: skip
FAILURES = ("UNKNOWN", "INTERNAL", "DATA_LOSS", "DEADLINE_EXCEEDED", "UNAVAILABLE")
"""Codes that say that we failed, whatever was asked (docs/slo.md)."""

BUILD = declare.Gauge(
    name="mayfly_build_info",
    help="Constant 1; the version is a label.",
    unit="constant 1",
    services=SERVICES,
    labels=(_SERVICE, sourced("version", "the installed package", 1)),
    combined=1,
)
OPS_OPEN = declare.Gauge(
    name="mayfly_ops_port_open",
    help="1 if the ops port answers in plain HTTP whoever reaches it from elsewhere (MAYFLY_OPS_TLS=insecure).",
    unit="1 or 0",
    services=SERVICES,
)
RPC_STARTED = declare.Counter(
    name="grpc_server_started_total",
    help="RPCs that began.",
    unit="RPCs",
    services=SERVICES,
    labels=_RPC,
    combined=METHODS,
)
RPC_HANDLED = declare.Counter(
    name="grpc_server_handled_total",
    help="RPCs that ended.",
    unit="RPCs",
    services=SERVICES,
    labels=(*_RPC, listed("grpc_code", CODES)),
    combined=METHODS * len(CODES),
)
RPC_SECONDS = declare.Histogram(
    name="grpc_server_handling_seconds",
    help="From an RPC's begin to its end.",
    unit="seconds",
    services=SERVICES,
    labels=_RPC,
    combined=METHODS,
    buckets=SECONDS,
)
CUSTODY_PHOTOS = declare.Gauge(
    name="mayfly_custody_photos",
    help="Photos that this process holds now.",
    unit="photos",
    services=SERVICES,
    labels=(_SERVICE,),
    combined=1,
)
CUSTODY_BYTES = declare.Gauge(
    name="mayfly_custody_bytes",
    help="Bytes of photos that this process has taken in and holds now.",
    unit="bytes",
    services=SERVICES,
    labels=(_SERVICE,),
    combined=1,
)
CUSTODY_SECONDS = declare.Histogram(
    name="mayfly_custody_seconds",
    help="How long this process held a photo.",
    unit="seconds",
    services=SERVICES,
    labels=(_SERVICE,),
    combined=1,
    buckets=FINE_SECONDS,
    traced=True,
)
CUSTODY_OLDEST = declare.Gauge(
    name="mayfly_custody_oldest_seconds",
    help="Age of the photo held longest now; 0 if none.",
    unit="seconds",
    services=SERVICES,
    labels=(_SERVICE,),
    combined=1,
)
CUSTODY_OVERDUE = declare.Gauge(
    name="mayfly_custody_overdue_photos",
    help="Photos held now whose lease has ended.",
    unit="photos",
    services=SERVICES,
    labels=(_SERVICE,),
    combined=1,
)
CUSTODY_DROPPED = declare.Counter(
    name="mayfly_custody_dropped_total",
    help="Photos dropped before their work was done.",
    unit="photos",
    services=HOLDERS,
    labels=(_HOLDER, listed("reason", DROPPED)),
    combined=len(DROPPED),
)
UNLEASED = declare.Counter(
    name="mayfly_unleased_photos_total",
    help="Streams of photo bytes that came without a live lease, and were refused.",
    unit="photos",
    services=HOLDERS,
    labels=(_HOLDER,),
    combined=1,
)
CUSTODY_STREAM_UP = declare.Gauge(
    name="mayfly_custody_stream_up",
    help="1 while the replica of purge at this target hears this process's custody reports.",
    unit="1 or 0",
    services=HOLDERS,
    labels=(_HOLDER, sourced("registry", "`MAYFLY_REGISTRY_TARGET`", MAX_REPLICAS)),
    combined=MAX_REPLICAS,
)
LOCKDOWN = declare.Gauge(
    name="mayfly_lockdown_control",
    help="1 if the control is in force. lockdown_permissive is none: 1 if the process would serve without any.",
    unit="1 or 0",
    services=SERVICES,
    labels=(_SERVICE, listed("control", (*REMEDIES, PERMISSIVE))),
    combined=len(REMEDIES) + 1,
)
SWEEPS = declare.Counter(
    name="mayfly_sweeps_total",
    help="Sweeps of memory and connections after photos; a failed one is tried again.",
    unit="sweeps",
    services=HOLDERS,
    labels=(_HOLDER, listed("outcome", ("swept", "failed"))),
    combined=2,
)
UNSWEPT = declare.Gauge(
    name="mayfly_unswept_seconds",
    help="How long a photo has been gone after which nothing has been swept yet; 0 if there is none.",
    unit="seconds",
    services=HOLDERS,
    labels=(_HOLDER,),
    combined=1,
)
FIELDS_WITHHELD = declare.Gauge(
    name="mayfly_log_fields_withheld",
    help="Log fields not on the allow-list, not printed.",
    unit="log fields",
    services=SERVICES,
)
TRACE_FIELDS_WITHHELD = declare.Gauge(
    name="mayfly_trace_fields_withheld",
    help="Values and names of spans not on the allow-list, not set.",
    unit="values",
    services=SERVICES,
)
TRACE_SPANS = declare.Counter(
    name="mayfly_trace_spans_total",
    help="Spans that have ended, by what became of them; none unless traces are on.",
    unit="spans",
    services=SERVICES,
    labels=(_SERVICE, listed("outcome", SPAN_OUTCOMES)),
)
VALUES_WITHHELD = declare.Counter(
    name="mayfly_metric_values_withheld_total",
    help="Labels' values and exemplars not on a metric's list, not emitted.",
    unit="values",
    services=SERVICES,
)


class MeshMetrics:
    """One per process; ``registry`` is what /metrics serves."""

    def __init__(self, service: str, version: str) -> None:
        self.registry = r = CollectorRegistry()
        ProcessCollector(registry=r)
        PlatformCollector(registry=r)
        GCCollector(registry=r)
        build = BUILD.family(r)
        build.admit(version=(version,))
        build.labels(service, version).set(1)
        self.ops_open = OPS_OPEN.on(r)
        self.rpc_started = RPC_STARTED.family(r)
        self.rpc_handled = RPC_HANDLED.family(r)
        self.rpc_seconds = RPC_SECONDS.family(r)
        self.custody_photos = CUSTODY_PHOTOS.family(r).labels(service)
        self.custody_bytes = CUSTODY_BYTES.family(r).labels(service)
        self.custody_seconds = CUSTODY_SECONDS.family(r).labels(service)
        self.custody_oldest = CUSTODY_OLDEST.family(r).labels(service)
        self.custody_overdue = CUSTODY_OVERDUE.family(r).labels(service)
        self.custody_dropped = CUSTODY_DROPPED.family(r)
        self.unleased = UNLEASED.family(r)
        self.custody_stream_up = CUSTODY_STREAM_UP.family(r)
        self.lockdown = LOCKDOWN.family(r)
        self.sweeps = SWEEPS.family(r)
        self.unswept = UNSWEPT.family(r)
        FIELDS_WITHHELD.read(r, lambda: log.withheld)
        TRACE_FIELDS_WITHHELD.read(r, lambda: fields.withheld)
        self.trace_spans = TRACE_SPANS.family(r)
        VALUES_WITHHELD.read(r, lambda: withheld.count)
