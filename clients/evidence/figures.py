"""A period's figures, counted while logs are replayed. Each is defined in ``definitions.py``.

Memory grows with the leases that are open at one time, the audits, and the milliseconds that photos lived (bounded by
the longest lease), not with the logs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clients.evidence.period import DAY, Period, day_of, format_moment
from clients.verify import Recount
from mesh.custody.book import MAX_LEASE_SECONDS
from services.purge.audit import Statement
from services.purge.day import RESIDENCY
from services.purge.receipt import Grant, Receipt

OUTCOMES = ("settled", "revoked", "expired")
LONGEST = int(MAX_LEASE_SECONDS)  # seconds of a lease, whoever grants it
Value = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Longest:
    milliseconds: int
    lease: int | None
    outcome: str

    @property
    def rank(self) -> tuple[int, bool, int, str]:
        """Of equals, the one of the shortest lease, then by outcome: whatever the order in which logs are read."""
        return self.milliseconds, self.lease is not None, -(self.lease or 0), self.outcome


class Figures:
    """An Observer. audit_gap: seconds between two audits beyond which a gap is named."""

    def __init__(self, period: Period, audit_gap: int) -> None:
        self._period = period
        self._gap = audit_gap
        self._expire: dict[str, int] = {}  # of leases that are open, or whose receipt has come from another log first
        self._early: dict[str, Receipt] = {}
        self._outcomes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._admitted = self._carried = self._open = self._unknown = 0
        self._admitted_days: Counter[str] = Counter()
        self._ended_days: dict[str, Counter[str]] = {}
        self._residency: Counter[int] = Counter()  # milliseconds
        self._longest: _Longest | None = None
        self._custody: dict[str, Counter[str]] = {}
        self._controls: dict[str, Counter[str]] = {}
        self._holders: Counter[str] = Counter()
        self._processors: Counter[str] = Counter()
        self._policies: Counter[str] = Counter()
        self._statements: list[Statement] = []

    def granted(self, grant: Grant) -> None:
        self._expire[grant.photo_id] = grant.expire_time
        if (receipt := self._early.pop(grant.photo_id, None)) is not None:
            self._end(receipt)

    def ended(self, receipt: Receipt) -> None:
        if receipt.photo_id in self._expire:
            self._end(receipt)
        else:
            self._early[receipt.photo_id] = receipt

    def audited(self, statement: Statement) -> None:
        if statement.time in self._period:
            self._statements.append(statement)

    def value(self, recount: Recount) -> Value:
        """All figures, as the report has them. recount: of the same replay."""
        for receipt in self._early.values():  # no log that was read has granted these
            self._count_end(receipt, None)
        self._early.clear()
        for expire in self._expire.values():
            # Nobody keeps the moment of a grant; no lease is longer than LONGEST, so this one began after the period.
            if expire - LONGEST >= self._period.until:
                continue
            if expire >= self._period.since:
                self._open += 1
                self._admit(min(expire, self._period.until - 1))
        self._expire.clear()
        ended = sum(self._outcomes.values())
        return {
            "conservation": {
                "carried_in": self._carried,
                "admitted": self._admitted,
                **{outcome: self._outcomes[outcome] for outcome in OUTCOMES},
                "ended": ended,
                "open": self._open,
                "balanced": self._carried + self._admitted == ended + self._open and recount.conserved,
            },
            "residency": self._lives(),
            "reasons": dict(sorted(self._reasons.items())),
            "days": self._by_day(),
            "custody": {holder: dict(sorted(c.items())) for holder, c in sorted(self._custody.items())},
            "lockdown": self._lockdown(),
            "processors": dict(sorted(self._processors.items())),
            "policy_versions": dict(sorted(self._policies.items())),
            "audits": self._audits(recount),
            "whole_log": {
                "granted": recount.grants,
                "settled": recount.settled,
                "revoked": recount.revoked,
                "expired": recount.expired,
                "open": len(recount.open),
                "problems": list(recount.problems),
            },
        }

    def _end(self, receipt: Receipt) -> None:
        """A lease of which grant and receipt are there."""
        expire = self._expire.pop(receipt.photo_id)
        began, period = _began(receipt, expire), self._period
        if receipt.ended_time < period.since or began >= period.until:
            return
        if began < period.since:
            self._carried += 1
        else:
            self._admit(began)
        if receipt.ended_time >= period.until:
            self._open += 1
        else:
            self._count_end(receipt, expire)

    def _admit(self, began: int) -> None:
        self._admitted += 1
        self._admitted_days[day_of(began)] += 1

    def _count_end(self, receipt: Receipt, expire: int | None) -> None:
        if receipt.ended_time not in self._period:
            return
        began = _began(receipt, expire)
        self._outcomes[receipt.outcome] += 1
        self._reasons[receipt.reason] += 1
        self._ended_days.setdefault(day_of(receipt.ended_time), Counter())[receipt.outcome] += 1
        self._live(receipt, expire, began)
        for item in receipt.custody:
            self._custody.setdefault(item.holder, Counter())[item.state] += 1
        held = {item.holder for item in receipt.custody}
        self._holders.update(held)
        for holder in held:
            self._controls.setdefault(holder, Counter()).update(receipt.lockdown.get(holder, ()))
        self._processors.update(receipt.processors)
        self._policies[receipt.policy_version or "(lost in a crash)"] += 1

    def _live(self, receipt: Receipt, expire: int | None, began: int) -> None:
        if receipt.residency_seconds is None:
            self._unknown += 1
            return
        lived = round(receipt.residency_seconds * 1000)
        self._residency[lived] += 1
        this = _Longest(lived, None if expire is None else expire - began, receipt.outcome)
        if self._longest is None or this.rank > self._longest.rank:
            self._longest = this

    def _lives(self) -> Value:
        bars = [0] * (len(RESIDENCY) + 1)
        for lived, number in self._residency.items():
            bars[next((bar for bar, bound in enumerate(RESIDENCY) if lived <= bound * 1000), -1)] += number
        longest = self._longest
        return {
            "counted": self._residency.total(),
            "unknown": self._unknown,
            "bounds": list(RESIDENCY),
            "bars": bars,
            "median_ms": _quantile(self._residency, 0.5),
            "p99_ms": _quantile(self._residency, 0.99),
            "p999_ms": _quantile(self._residency, 0.999),
            "longest_ms": None if longest is None else longest.milliseconds,
            "longest_lease_seconds": None if longest is None else longest.lease,
            "longest_outcome": None if longest is None else longest.outcome,
        }

    def _by_day(self) -> list[Value]:
        """Every day that the period touches, also those on which nothing was."""
        first = self._period.since - self._period.since % DAY
        days = [day_of(second) for second in range(first, self._period.until, DAY)]
        return [
            {
                "day": day,
                "admitted": self._admitted_days[day],
                **{outcome: self._ended_days.get(day, Counter())[outcome] for outcome in OUTCOMES},
            }
            for day in days
        ]

    def _lockdown(self) -> Value:
        return {
            holder: {"receipts": number, "controls": dict(sorted(self._controls.get(holder, Counter()).items()))}
            for holder, number in sorted(self._holders.items())
        }

    def _audits(self, recount: Recount) -> Value:
        statements = sorted(self._statements, key=lambda each: (each.time, each.id))
        return {
            "statements": [_statement(each) for each in statements],
            "signatures_checked": recount.audits_checked,
            "gap_seconds": self._gap,
            "gaps": list(_gaps([each.time for each in statements], self._period, self._gap)),
        }


def sentence(figures: Mapping[str, Mapping[str, object]], period: Period) -> str:
    """What the report says first."""
    flow, lives = figures["conservation"], figures["residency"]
    text = (
        f"From {format_moment(period.since)} to {format_moment(period.until)}: {_n(flow['admitted'])} photos admitted"
    )
    text += f", {_n(flow['ended'])} ended"
    if flow["carried_in"]:
        text += f" ({_n(flow['carried_in'])} of them admitted before)"
    text += f", {_n(flow['open'])} in the mesh at the end"
    if lives["longest_ms"] is not None:
        text += f"; the longest lived {_seconds(lives['longest_ms'])} s"
        if lives["longest_lease_seconds"] is not None:
            text += f" of its {lives['longest_lease_seconds']} s"
    return f"{text}."


def _n(number: object) -> str:
    return f"{number:,}"


def _seconds(milliseconds: object) -> str:
    assert isinstance(milliseconds, int)
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".")


def _began(receipt: Receipt, expire: int | None) -> int:
    """The admission's second; where a crash has lost it, the earlier of the end and the end that was granted."""
    if receipt.admitted_time is not None:
        return receipt.admitted_time
    return receipt.ended_time if expire is None else min(receipt.ended_time, expire)


def _quantile(values: Counter[int], share: float) -> int | None:
    """The smallest value that at least this share of them do not exceed; None of none."""
    left = values.total() * share
    for value in sorted(values):
        left -= values[value]
        if left <= 1e-9:
            return value
    return None


def _statement(statement: Statement) -> Value:
    return {
        "time": format_moment(statement.time),
        "id": statement.id,
        "outcome": statement.outcome,
        "bytes_found": sum(each.bytes for each in statement.residue),
        "bytes_searched": sum(statement.searched.values()),
        "canaries": sum(statement.canaries.values()),
        "control_permille": statement.control,
        "reconciled": statement.reconciled,
        "not_searched": list(statement.not_searched),
    }


def _gaps(times: Iterable[int], period: Period, longest: int) -> Iterable[Value]:
    """Stretches without an audit, the period's ends included."""
    before = period.since
    for time in (*times, period.until):
        if time - before > longest:
            yield {"from": format_moment(before), "to": format_moment(time), "seconds": time - before}
        before = max(before, time)
