"""Metrics that every service has: RPCs by the ecosystem's names, and this process's custody."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from mesh import log
from mesh.instruments.exemplars import TracedHistogram

# Seconds. Fine around what a hop takes, coarse up to the longest lease.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
# For what has a promise to keep: also where leases, objectives and patience end.
FINE_SECONDS = tuple(sorted({*SECONDS, 0.75, 1.5, 2, 3, 7.5, 15, 30, 45, 60, 90, 120, 125, 150, 180, 240, 300, 305}))
_RPC = ("grpc_type", "grpc_service", "grpc_method")


class MeshMetrics:
    """One per process; ``registry`` is what /metrics serves."""

    def __init__(self, service: str, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        r = self.registry
        build = Gauge("mayfly_build_info", "Constant 1; the version is a label.", ("service", "version"), registry=r)
        build.labels(service, version).set(1)
        self.rpc_started = Counter("grpc_server_started_total", "RPCs that began.", _RPC, registry=r)
        self.rpc_handled = Counter("grpc_server_handled_total", "RPCs that ended.", (*_RPC, "grpc_code"), registry=r)
        self.rpc_seconds = Histogram(
            "grpc_server_handling_seconds", "From an RPC's begin to its end.", _RPC, buckets=SECONDS, registry=r
        )
        self.custody_photos = Gauge(
            "mayfly_custody_photos", "Photos that this process holds now.", ("service",), registry=r
        ).labels(service)
        self.custody_bytes = Gauge(
            "mayfly_custody_bytes",
            "Bytes of photos that this process has taken in and holds now.",
            ("service",),
            registry=r,
        ).labels(service)
        self.custody_seconds = TracedHistogram(
            "mayfly_custody_seconds",
            "How long this process held a photo.",
            ("service",),
            buckets=FINE_SECONDS,
            registry=r,
        ).labels(service)
        self.custody_oldest = Gauge(
            "mayfly_custody_oldest_seconds", "Age of the photo held longest now; 0 if none.", ("service",), registry=r
        ).labels(service)
        self.custody_overdue = Gauge(
            "mayfly_custody_overdue_photos", "Photos held now whose lease has ended.", ("service",), registry=r
        ).labels(service)
        self.custody_dropped = Counter(
            "mayfly_custody_dropped_total",
            "Photos dropped before their work was done.",
            ("service", "reason"),
            registry=r,
        )
        self.unleased = Counter(
            "mayfly_unleased_photos_total",
            "Streams of photo bytes that came without a live lease, and were refused.",
            ("service",),
            registry=r,
        )
        self.custody_stream_up = Gauge(
            "mayfly_custody_stream_up",
            "1 while the replica of purge at this target hears this process's custody reports.",
            ("service", "registry"),
            registry=r,
        )
        self.lockdown = Gauge(
            "mayfly_lockdown_control",
            "1 if the control is in force. lockdown_permissive is none: 1 if the process would serve without any.",
            ("service", "control"),
            registry=r,
        )
        self.sweeps = Counter(
            "mayfly_sweeps_total",
            "Sweeps of memory and connections after photos; a failed one is tried again.",
            ("service", "outcome"),
            registry=r,
        )
        self.unswept = Gauge(
            "mayfly_unswept_seconds",
            "How long a photo has been gone after which nothing has been swept yet; 0 if there is none.",
            ("service",),
            registry=r,
        )
        withheld = Gauge("mayfly_log_fields_withheld", "Log fields not on the allow-list, not printed.", registry=r)
        withheld.set_function(lambda: log.withheld)
