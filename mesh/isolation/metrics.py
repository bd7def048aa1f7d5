"""What is counted about isolated jobs."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from mesh.instruments import declare
from mesh.instruments.label import listed
from mesh.isolation.outcome import Outcome
from mesh.metrics import SECONDS

DECODERS = ("ingest", "render")
_SERVICE = listed("service", DECODERS)

JOBS = declare.Counter(
    name="mayfly_isolation_jobs_total",
    help="Jobs over untrusted bytes, by how they ended.",
    unit="jobs",
    services=DECODERS,
    labels=(_SERVICE, listed("outcome", Outcome)),
    combined=len(Outcome),
)
JOB_SECONDS = declare.Histogram(
    name="mayfly_isolation_seconds",
    help="One job, from its fork to its child's end.",
    unit="seconds",
    services=DECODERS,
    labels=(_SERVICE,),
    combined=1,
    buckets=SECONDS,
)
TEMPLATES = declare.Counter(
    name="mayfly_isolation_templates_total",
    help="Template processes started; more than one per pool means that some died.",
    unit="processes",
    services=DECODERS,
    labels=(_SERVICE,),
    combined=1,
)
RUNNING = declare.Gauge(
    name="mayfly_isolation_running_jobs",
    help="Jobs that run now.",
    unit="jobs",
    services=DECODERS,
    labels=(_SERVICE,),
    combined=1,
)


class IsolationMetrics:
    """One per process, for all its workers."""

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        jobs = JOBS.family(registry)
        self.jobs = {outcome: jobs.labels(service, outcome.value) for outcome in Outcome}
        self.seconds = JOB_SECONDS.family(registry).labels(service)
        self.templates = TEMPLATES.family(registry).labels(service)
        self.running = RUNNING.family(registry).labels(service)
