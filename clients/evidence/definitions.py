"""What each figure of a report means, and how anybody works it out again: from the log, and from Prometheus.

What Prometheus says of a counter is an estimate: it extrapolates to the period's ends, and a series' first value is no
increase to it. Of a gauge it knows the moments at which it read it. So its answers are close to the log's, not equal.
"""

from __future__ import annotations

from dataclasses import dataclass

from clients.evidence.figures import LONGEST
from clients.evidence.period import Period

ONLY = " (Prometheus only)"
"""After the name of a figure that isn't in the log."""
_LIVE = 'mayfly_leases{state=~"granted|active|parked|claimed|ending"}'
_ENDED_IN = "Receipts whose ended_time lies in the period"


@dataclass(frozen=True, slots=True)
class Definition:
    """figure: its name in the report; several of one group have commas between them. log: how to count it there.

    query: PromQL, of the period's end (the report's ``prometheus.at``), "{range}" its length; "" where no metric says
    it.
    """

    figure: str
    meaning: str
    log: str
    query: str = ""

    def over(self, period: Period) -> str:
        """The query of this period."""
        return self.query.replace("{range}", f"{period.seconds}s")

    def to_value(self, period: Period) -> dict[str, object]:
        """As the report has it."""
        return {"figure": self.figure, "meaning": self.meaning, "log": self.log, "query": self.over(period)}


def _quantile(figure: str, share: str) -> Definition:
    return Definition(
        f"residency.{figure}",
        f"The smallest residency that {float(share) * 100:g} % of those counted do not exceed, in milliseconds; null "
        "of none. Residency: from a lease's admission to the moment at which nobody held the photo any more and its "
        "receipt was made.",
        f"residency_seconds of the receipts whose ended_time lies in the period, times 1,000, rounded; sorted, the "
        f"first at or beyond {float(share) * 100:g} % of their number.",
        f"1000 * histogram_quantile({share}, sum by (le) (increase(mayfly_residency_seconds_bucket[{{range}}])))",
    )


DEFINITIONS = (
    Definition(
        "conservation.admitted",
        "Leases that began in the period. A lease begins at its receipt's admitted_time; where a crash has lost that, "
        "at the earlier of ended_time and the grant's expire_time. A lease that had no receipt yet when the log was "
        "read counts as begun in the period and open at its end, unless its expire_time lies before the period, or "
        f"{LONGEST} s after it or later: no lease is longer, so it began after the period.",
        "Grants whose begin lies in the period.",
        "sum(increase(mayfly_leases_granted_total[{range}]))",
    ),
    Definition(
        "conservation.carried_in",
        "Leases that began before the period and had not ended when it began.",
        "Grants that began before the period and whose receipt's ended_time does not lie before it.",
        f"sum({_LIVE} offset {{range}})",
    ),
    Definition(
        "conservation.settled, revoked, expired, ended",
        "Leases that ended in the period, by how: settled (delivered), revoked (taken back, on request or after a "
        "failure), expired (out of time); and all of them.",
        f"{_ENDED_IN}, by outcome.",
        "sum by (outcome) (increase(mayfly_leases_ended_total[{range}]))",
    ),
    Definition(
        "conservation.open",
        "Leases that were not over at the end of the period.",
        "Grants that began before its end, and whose receipt comes later or not yet.",
        f"sum({_LIVE})",
    ),
    Definition(
        "conservation.balanced",
        "carried_in + admitted = ended + open, and in the whole log each grant has one receipt at most, each receipt "
        "one grant, every signature holds, and no open lease is past its end by a minute when the report is made. From "
        "Prometheus: the most leases that were missing, granted and neither alive nor ended, for a minute at least; a "
        "single reading says nothing, since its parts are not read at the same instant.",
        "mayfly audit-log, and the counts above.",
        "max_over_time(min_over_time(mayfly:leases_unaccounted[1m])[{range}:30s])",
    ),
    Definition(
        "residency.counted, unknown",
        "Leases that ended in the period and whose receipt says how long the photo lived; and those of which a crash "
        "has lost it. From Prometheus: the former.",
        f"{_ENDED_IN}, with and without residency_seconds.",
        "sum(increase(mayfly_residency_seconds_count[{range}]))",
    ),
    Definition(
        "residency.bounds, bars",
        "How many of those counted lived longer than the bound before, and at most so many seconds; the last bar, "
        "which has no bound, is of those that lived longer than the last bound. From Prometheus: how many lived at "
        "most so long, by le.",
        "residency_seconds of the same receipts, in milliseconds.",
        "sum by (le) (increase(mayfly_residency_seconds_bucket[{range}]))",
    ),
    _quantile("median_ms", "0.5"),
    _quantile("p99_ms", "0.99"),
    _quantile("p999_ms", "0.999"),
    Definition(
        "residency.longest_ms, longest_lease_seconds, longest_outcome",
        "The longest residency of those counted, in milliseconds; the length of its lease, from its begin to the "
        "grant's expire_time, null where no log that was read has the grant; how it ended. Of several that lived "
        "equally long, the one of the shortest lease, then the last by outcome in the alphabet.",
        "residency_seconds, admitted_time and outcome of the same receipts, expire_time of their grants.",
    ),
    Definition(
        "reasons",
        "The leases that ended in the period, by reason.",
        "reason of the same receipts.",
        "sum by (reason) (increase(mayfly_leases_ended_total[{range}]))",
    ),
    Definition(
        "days",
        "For each day that the period touches, UTC: leases of conservation.admitted that began on it, and those of "
        "conservation.ended that ended on it, by outcome. Of a lease without a receipt: its expire_time's day, or the "
        "period's last one if that comes first.",
        "admitted_time, ended_time and outcome of the receipts; expire_time of the grants without one.",
    ),
    Definition(
        "custody",
        "How each service's holds on photos ended, of the leases that ended in the period: released (it said so), lost "
        "(its process is known to be dead), unknown (it was named and never heard of), unconfirmed (nobody knows). "
        "From Prometheus: those that were not released.",
        "custody of the same receipts.",
        "sum by (service) (increase(mayfly_custody_lost_total[{range}]))",
    ),
    Definition(
        "lockdown",
        "For each service: of how many receipts of photos that it held (receipts), how many say that this control was "
        "in force (controls). Fewer than all is a photo that was held without that control. From Prometheus: 1 if the "
        "control was in force in each process of the service at each reading, else 0.",
        "custody and lockdown of the same receipts.",
        'min by (service, control) (min_over_time(mayfly_lockdown_control{control!="lockdown_permissive"}[{range}]))',
    ),
    Definition(
        "processors",
        "How many of the photos whose leases ended in the period each processor has worked on.",
        "processors of the same receipts.",
    ),
    Definition(
        "policy_versions",
        "To which version of the privacy policy the owners of these photos had consented, and how many.",
        "policy_version of the same receipts; “(lost in a crash)” where that is so.",
    ),
    Definition(
        "audits.statements",
        "What the auditor has found: synthetic photos through the mesh (canaries: how many), then a search of "
        "everything for what is left (bytes_searched, bytes_found, and what it is declared unable to reach: "
        "not_searched); how much of a planted control it found, in per mille; whether all countings of leases agreed "
        "(reconciled; null: not counted). From Prometheus: the most bytes that an audit found, by place; 0 if none "
        "ever did.",
        "Audit statements whose time lies in the period; bytes_found is the sum of residue, bytes_searched that of "
        "searched, canaries that of canaries.",
        "sum by (service, where) (max_over_time(mayfly_canary_residue_bytes[{range}]))",
    ),
    Definition(
        "audits.signatures_checked",
        "Whether the auditor's key was given, and every statement's signature holds.",
        "mayfly audit-log --audit-key.",
    ),
    Definition(
        "audits.gap_seconds, gaps",
        "Stretches of the period longer than gap_seconds without any statement, whatever its outcome. gap_seconds is "
        "the reporter's choice (--audit-gap).",
        "The times of the same statements, and the period's ends.",
    ),
    Definition(
        "whole_log.granted, settled, revoked, expired, open",
        "The same counts over all entries of the logs, up to their heads, whatever the period. From Prometheus: "
        "granted, at the period's end.",
        "mayfly audit-log.",
        "sum(mayfly_leases_granted_total)",
    ),
    Definition(
        "whole_log.problems",
        "What is wrong with the logs, in sentences, 100 at most: a receipt without a grant, a second one, a signature "
        "that does not hold, an open lease that is past its end by a minute.",
        "mayfly audit-log.",
    ),
    Definition(
        f"readings{ONLY}",
        "How often Prometheus has read each service's metrics, or tried to. Far fewer than the period's seconds "
        "divided by its scrape interval, for each process: it was not watching all the time, and its silence says "
        "nothing of the rest.",
        "Not in the log.",
        'sum by (job) (count_over_time(up{job=~"gateway|ingest|render|purge|auditor"}[{range}]))',
    ),
    Definition(
        f"deletion lag{ONLY}",
        "From the moment at which a lease was to end (delivery confirmed, revocation asked for, time over) to its "
        "receipt: what 99.9 % do not exceed, in seconds.",
        "Not in the log: a receipt has no time of the confirmation.",
        "histogram_quantile(0.999, sum by (le) (increase(mayfly_deletion_lag_seconds_bucket[{range}])))",
    ),
    Definition(
        f"custody past the lease{ONLY}",
        "The most photos that a process held past their lease, summed over processes: 0 if none ever did.",
        "Not in the log.",
        "sum(max_over_time(mayfly_custody_overdue_photos[{range}]))",
    ),
    Definition(
        f"keys without an end{ONLY}",
        "The most keys without a TTL that Redis ever held, as each replica of purge saw it.",
        "Not in the log.",
        "max(max_over_time(mayfly_registry_keys_without_ttl[{range}]))",
    ),
    Definition(
        f"persistence{ONLY}",
        "Whether Redis was ever set up to keep what it must forget, by fact: 0 if it never was.",
        "Not in the log.",
        "max by (fact) (max_over_time("
        'mayfly_registry_violation{fact=~"save|appendonly|snapshot|replica_disk"}[{range}]'
        "))",
    ),
    Definition(
        f"photo bytes without a lease{ONLY}",
        "Streams of photo bytes that came without a live lease, and were refused.",
        "Not in the log: there is no lease.",
        "sum(increase(mayfly_unleased_photos_total[{range}]))",
    ),
    Definition(
        f"alerts{ONLY}",
        "How often an alert of each rule was found firing when Prometheus evaluated its rules (as deployed, every 5 s; "
        "several alerts at once count as many), however short. No data: none was, if there are readings.",
        "Not in the log.",
        'sum by (rule) (count_over_time(ALERTS{alertstate="firing",rule=~"R[1-9]"}[{range}]))',
    ),
)
