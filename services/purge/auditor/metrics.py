"""What the auditor counts. Labels come from closed lists; which photo or file it was is in its report alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.purge.audit import OUTCOMES, PLACES
from services.purge.auditor.reconcile import DIFFERENCES, Differences
from services.purge.auditor.run import Report


class AuditorMetrics:
    """services: which may be blamed; each is shown with 0 in every place once there was an audit."""

    def __init__(self, registry: CollectorRegistry, services: Sequence[str] = ()) -> None:
        r = registry
        self._services = services
        self.residue = Gauge(
            "mayfly_canary_residue_bytes",
            "Bytes of canaries that the last audit has found after their end.",
            ("service", "where"),
            registry=r,
        )
        self.runs = Counter("mayfly_canary_runs_total", "Audits.", ("outcome",), registry=r)
        self.sent = Counter("mayfly_canary_sent_total", "Canaries that ended as intended.", ("ending",), registry=r)
        self.searched = Gauge(
            "mayfly_canary_searched_bytes", "Bytes that the last audit has searched.", ("where",), registry=r
        )
        self.seconds = Gauge("mayfly_canary_run_seconds", "How long the last audit took.", registry=r)
        self.control = Gauge(
            "mayfly_canary_control_ratio", "Share of the positive control that the last audit has found.", registry=r
        )
        self.last_clean = Gauge(
            "mayfly_canary_last_clean_timestamp_seconds", "When the last clean audit ended; 0 before one.", registry=r
        )
        self.interval = Gauge("mayfly_canary_interval_seconds", "How often canaries are sent.", registry=r)
        self.differences = Gauge(
            "mayfly_reconciliation_differences",
            "Leases, or photos in custody, about which two countings have disagreed in each of the last looks.",
            ("countings",),
            registry=r,
        )
        for outcome in OUTCOMES:
            self.runs.labels(outcome)

    def ran(self, report: Report, now: float) -> None:
        """now: Unix seconds."""
        for (service, where), size in self._residue(report).items():
            self.residue.labels(service, where).set(size)
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
