"""A rule's state, from what purge sees itself and what Prometheus says."""

from __future__ import annotations

from dataclasses import dataclass

from mesh.rules import Rule
from services.purge.evidence.own import Finding, State
from services.purge.evidence.prometheus import Alerts, Answer


@dataclass(frozen=True, slots=True)
class Since:
    """when: Unix seconds. exact: False if it may have been so before, which nobody here has seen."""

    when: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """found: by purge itself. alerts: what Prometheus said of the rule; None where it was not asked, or is away.

    since: since when the rule is in this state; None where nobody can tell.
    """

    rule: Rule
    state: State
    found: Finding
    since: Since | None
    alerts: Alerts | None = None


def judge(rule: Rule, finding: Finding, since: Since, answer: Answer | None) -> Verdict:
    """The worse of two opinions. since: of ``finding``."""
    alerts = answer.alerts.get(rule.id) if answer is not None else None
    watched = alerts is not None and bool(alerts.watching) and not alerts.failing
    if alerts is not None and alerts.firing:
        began = Since(min(alerts.firing.values()), exact=True)
        if finding.state is State.BROKEN:
            began = min(began, since, key=lambda each: each.when)
        return Verdict(rule, State.BROKEN, finding, began, alerts)
    if finding.state is State.BROKEN:
        return Verdict(rule, State.BROKEN, finding, since, alerts)
    if alerts is not None and alerts.pending:
        began = Since(min(alerts.pending.values()), exact=True)
        return Verdict(rule, State.PENDING, finding, began, alerts)
    if watched and answer is not None and (finding.state is State.KEPT or _all_are_seen(finding, answer)):
        return Verdict(rule, State.KEPT, finding, _kept(rule, finding, since, answer), alerts)
    return Verdict(rule, finding.state, finding, since if finding.state is State.KEPT else None, alerts)


def _all_are_seen(finding: Finding, answer: Answer) -> bool:
    """Whether Prometheus looks at those who know. Of a service that it can't ask, no alert about its counts fires."""
    return bool(finding.elsewhere) and answer.up.issuperset(finding.elsewhere)


def _kept(rule: Rule, finding: Finding, since: Since, answer: Answer) -> Since | None:
    """What one of them has seen break last, whoever it was; if neither has, since when the longer one has looked."""
    fired = answer.fired.get(rule.id)
    seen = [since] if finding.state is State.KEPT else []
    if fired is not None:
        seen.append(Since(fired, exact=True))
    elif answer.watched is not None:
        seen.append(Since(answer.watched, exact=False))
    exact = [each for each in seen if each.exact]
    return max(exact, key=_when) if exact else min(seen, key=_when, default=None)


def _when(since: Since) -> float:
    return since.when
