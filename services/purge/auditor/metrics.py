"""What the auditor counts. Labels come from closed lists; which photo or file it was is in its report alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry

from mesh.instruments import declare
from mesh.instruments.declare import SERVICES
from mesh.instruments.label import OTHER, Label, listed
from services.purge.audit import OUTCOMES, PLACES
from services.purge.auditor.endings import ENDINGS
from services.purge.auditor.places.found import MACHINE, VALKEY
from services.purge.auditor.reconcile import DIFFERENCES, Differences
from services.purge.auditor.run import Report

_AUDITOR = ("auditor",)
_PLACE = listed("where", sorted(PLACES))

RESIDUE = declare.Gauge(
    name="mayfly_canary_residue_bytes",
    help="Bytes of canaries that the last audit has found after their end.",
    unit="bytes",
    services=_AUDITOR,
    labels=(Label("service", (*SERVICES, VALKEY, MACHINE, OTHER), "`MAYFLY_AUDITOR_PROCESSES`", 16), _PLACE),
)
RUNS = declare.Counter(
    name="mayfly_canary_runs_total",
    help="Audits.",
    unit="audits",
    services=_AUDITOR,
    labels=(listed("outcome", sorted(OUTCOMES)),),
)
SENT = declare.Counter(
    name="mayfly_canary_sent_total",
    help="Canaries that ended as intended.",
    unit="canaries",
    services=_AUDITOR,
    labels=(listed("ending", [ending.name for ending in ENDINGS]),),
)
SEARCHED = declare.Gauge(
    name="mayfly_canary_searched_bytes",
    help="Bytes that the last audit has searched.",
    unit="bytes",
    services=_AUDITOR,
    labels=(_PLACE,),
)
RUN_SECONDS = declare.Gauge(
    name="mayfly_canary_run_seconds",
    help="How long the last audit took.",
    unit="seconds",
    services=_AUDITOR,
)
CONTROL = declare.Gauge(
    name="mayfly_canary_control_ratio",
    help="Share of the positive control that the last audit has found.",
    unit="share of 1",
    services=_AUDITOR,
)
LAST_CLEAN = declare.Gauge(
    name="mayfly_canary_last_clean_timestamp_seconds",
    help="When the last clean audit ended; 0 before one.",
    unit="seconds since 1970",
    services=_AUDITOR,
)
INTERVAL = declare.Gauge(
    name="mayfly_canary_interval_seconds",
    help="How often canaries are sent.",
    unit="seconds",
    services=_AUDITOR,
)
DISAGREEMENTS = declare.Gauge(
    name="mayfly_reconciliation_differences",
    help="Leases, or photos in custody, about which two countings have disagreed in each of the last looks.",
    unit="leases or photos",
    services=_AUDITOR,
    labels=(listed("countings", DIFFERENCES),),
)


class AuditorMetrics:
    """services: which may be blamed; each is shown with 0 in every place once there was an audit."""

    def __init__(self, registry: CollectorRegistry, services: Sequence[str] = ()) -> None:
        self._services = services
        self.residue = RESIDUE.family(registry)
        self.residue.admit(service=services)
        self.runs = RUNS.family(registry)
        self.sent = SENT.family(registry)
        self.searched = SEARCHED.family(registry)
        self.seconds = RUN_SECONDS.on(registry)
        self.control = CONTROL.on(registry)
        self.last_clean = LAST_CLEAN.on(registry)
        self.interval = INTERVAL.on(registry)
        self.differences = DISAGREEMENTS.family(registry)
        for outcome in OUTCOMES:
            self.runs.labels(outcome)

    def ran(self, report: Report, now: float) -> None:
        """now: Unix seconds."""
        for (service, where), size in self._residue(report).items():
            self.residue.labels(service, where).inc(size)
        for where in PLACES:
            self.searched.labels(where).set(report.searched[where])
        for ending, count in report.sent.items():
            self.sent.labels(ending).inc(count)
        self.seconds.set(report.seconds)
        self.control.set(report.control)
        self.runs.labels(report.outcome).inc()
        if report.outcome == "clean":
            self.last_clean.set(now)

    def looked(self, differences: Differences) -> None:
        for name in DIFFERENCES:
            self.differences.labels(name).set(len(differences.get(name, ())))

    def _residue(self, report: Report) -> Mapping[tuple[str, str], int]:
        self.residue.clear()
        return {(s, w): 0 for s in self._services for w in PLACES} | dict(report.by_service())
