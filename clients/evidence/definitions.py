"""What each figure of a report means, and how anybody works it out again: from the log, and from Prometheus."""

from __future__ import annotations

from dataclasses import dataclass

from clients.evidence.period import Period


@dataclass(frozen=True, slots=True)
class Definition:
    """figure: its name in the report. log: how to count it there. query: PromQL, of the period's end (the report's
    ``prometheus.at``), "{range}" its length; "" where no metric says it."""

    figure: str
    meaning: str
    log: str
    query: str = ""

    def over(self, period: Period) -> str:
        """The query of this period."""
        return self.query.replace("{range}", f"{period.seconds}s")


DEFINITIONS = (
    Definition(
        "conservation.admitted",
        "Leases that began in the period. A lease begins at its receipt's admitted_time; where a crash has lost that, "
        "at the earlier of ended_time and the grant's expire_time. A lease that had no receipt yet when the log was "
        "read counts as begun in the period and open at its end, unless its expire_time lies before the period.",
        "Grants whose begin lies in the period.",
        "sum(increase(mayfly_leases_granted_total[{range}]))",
    ),
    Definition(
        "conservation.carried_in",
        "Leases that began before the period and had not ended when it began.",
        "Grants that began before the period and whose receipt's ended_time does not lie before it.",
    ),
    Definition(
        "conservation.ended",
        "Leases that ended in the period: settled (delivered), revoked (taken back, on request or after a failure), "
        "expired (out of time).",
        "Receipts whose ended_time lies in the period, by outcome.",
        "sum by (outcome) (increase(mayfly_leases_ended_total[{range}]))",
    ),
    Definition(
        "conservation.open",
        "Leases that were not over at the end of the period.",
        "Grants that began before its end, and whose receipt comes later or not yet.",
        'sum(mayfly_leases{state=~"granted|active|parked|claimed|ending"})',
    ),
    Definition(
        "conservation.balanced",
        "carried_in + admitted = ended + open, and in the whole log each grant has one receipt at most, each receipt "
        "one grant, every signature holds, and no open lease is past its end by a minute.",
        "mayfly audit-log, and the four counts above.",
        "max_over_time(abs(mayfly:leases_unaccounted)[{range}:1m])",
    ),
    Definition(
        "residency",
        "From a lease's admission to the moment at which nobody held the photo any more and its receipt was made, as "
        "the receipts say, of the leases that ended in the period. Quantiles are the smallest value that so large a "
        "share does not exceed, in milliseconds; bars are counts up to each bound, in seconds, the last beyond all.",
        "residency_seconds of the receipts whose ended_time lies in the period.",
        "histogram_quantile(0.999, sum by (le) (increase(mayfly_residency_seconds_bucket[{range}])))",
    ),
    Definition(
        "deletion lag (Prometheus only)",
        "From the moment at which a lease was to end (delivery confirmed, revocation asked for, time over) to its "
        "receipt.",
        "Not in the log: a receipt has no time of the confirmation.",
        "histogram_quantile(0.999, sum by (le) (increase(mayfly_deletion_lag_seconds_bucket[{range}])))",
    ),
    Definition(
        "reasons, days",
        "The same ends by reason, and admissions and ends by day, UTC.",
        "reason, admitted_time and ended_time of the receipts.",
        "sum by (outcome, reason) (increase(mayfly_leases_ended_total[{range}]))",
    ),
    Definition(
        "custody",
        "How each service's hold on a photo ended: released (it said so), lost (its process is known to be dead), "
        "unknown (it was named and never heard of), unconfirmed (nobody knows).",
        "custody of the receipts whose ended_time lies in the period.",
        "max_over_time(sum(mayfly_custody_overdue_photos)[{range}:1m])",
    ),
    Definition(
        "lockdown",
        "For each service: of how many receipts of photos that it held, how many say that this control was in force.",
        "lockdown of the same receipts. Less than all of them is a photo that was held without that control.",
        'min_over_time(min by (control) (mayfly_lockdown_control{control!="lockdown_permissive"})[{range}:1m])',
    ),
    Definition(
        "processors, policy_versions",
        "Who worked on the photos, and which version of the privacy policy their owners had consented to.",
        "processors and policy_version of the same receipts.",
    ),
    Definition(
        "audits",
        "What the auditor has found: synthetic photos through the mesh, then a search of everything for what is left. "
        "All statements of the period. A gap is a longer time than gap_seconds without one.",
        "Audit statements whose time lies in the period; bytes_found is the sum of residue, bytes_searched that of "
        "searched.",
        "max_over_time(sum(mayfly_canary_residue_bytes)[{range}:1m])",
    ),
    Definition(
        "keys without an end (Prometheus only)",
        "The most keys without a TTL that Redis ever held.",
        "Not in the log.",
        "max_over_time(sum(mayfly_registry_keys_without_ttl)[{range}:1m])",
    ),
    Definition(
        "persistence (Prometheus only)",
        "Whether Redis was ever set up to keep what it must forget: 0 if it never was.",
        "Not in the log.",
        'max_over_time(sum(mayfly_registry_violation{fact=~"save|appendonly|snapshot|replica_disk"})[{range}:1m])',
    ),
    Definition(
        "photo bytes without a lease (Prometheus only)",
        "Streams of photo bytes that came without a live lease, and were refused.",
        "Not in the log: there is no lease.",
        "sum(increase(mayfly_unleased_photos_total[{range}]))",
    ),
    Definition(
        "alerts (Prometheus only)",
        "For how many minutes an alert of each rule was firing.",
        "Not in the log.",
        'sum by (rule) (count_over_time(ALERTS{alertstate="firing",rule=~"R[1-9]"}[{range}:1m]))',
    ),
)
