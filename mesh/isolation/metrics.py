"""What is counted about isolated jobs."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mesh.isolation.outcome import Outcome
from mesh.metrics import SECONDS


class IsolationMetrics:
    """One per process, for all its workers."""

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        jobs = Counter(
            "mayfly_isolation_jobs_total",
            "Jobs over untrusted bytes, by how they ended.",
            ("service", "outcome"),
            registry=registry,
        )
        self.jobs = {outcome: jobs.labels(service, outcome.value) for outcome in Outcome}
        self.seconds = Histogram(
            "mayfly_isolation_seconds",
            "One job, from its fork to its child's end.",
            ("service",),
            buckets=SECONDS,
            registry=registry,
        ).labels(service)
        self.templates = Counter(
            "mayfly_isolation_templates_total",
            "Template processes started; more than one per pool means that some died.",
            ("service",),
            registry=registry,
        ).labels(service)
        self.running = Gauge(
            "mayfly_isolation_running_jobs", "Jobs that run now.", ("service",), registry=registry
        ).labels(service)
