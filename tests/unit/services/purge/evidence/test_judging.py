"""A rule's state is the worse of two opinions, and nobody who can't know is taken for somebody who does."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from mesh.rules import BY_ID
from services.purge.evidence import sections
from services.purge.evidence.figures import HOLDERS
from services.purge.evidence.judging import Since, judge
from services.purge.evidence.own import Finding, State
from services.purge.evidence.prometheus import Alerts, Answer
from services.purge.evidence.watch import Look

R1, R3, R5 = (BY_ID[id] for id in ("R1", "R3", "R5"))
START, CHANGED = Since(1000.0, exact=False), Since(1500.0, exact=True)
KEPT, BROKEN, UNKNOWN = (Finding(state, "said") for state in (State.KEPT, State.BROKEN, State.UNKNOWN))
ELSEWHERE = Finding(State.UNKNOWN, "said", elsewhere=HOLDERS)


def answer(
    rule: str,
    *,
    fired: float | None = None,
    watched: float | None = 400.0,
    up: Iterable[str] = HOLDERS,
    **alerts: object,
) -> Answer:
    known = {rule: Alerts(**{"watching": {"MayflyAlert": "up == 0"}, **alerts})}  # type: ignore[arg-type]
    return Answer(known, {} if fired is None else {rule: fired}, watched, frozenset(up))


def test_without_prometheus_only_what_purge_sees_counts() -> None:
    assert judge(R3, KEPT, START, None).state is State.KEPT
    assert judge(R3, KEPT, START, None).since == START
    assert judge(R1, ELSEWHERE, START, None).state is State.UNKNOWN
    assert judge(R1, ELSEWHERE, START, None).since is None


def test_a_firing_alert_breaks_the_rule_and_so_does_what_purge_sees() -> None:
    firing = answer("R3", firing={"MayflyAlert": 700.0})
    assert judge(R3, KEPT, START, firing).state is State.BROKEN
    assert judge(R3, KEPT, START, firing).since == Since(700.0, exact=True)
    assert judge(R3, BROKEN, CHANGED, answer("R3")).since == CHANGED
    assert judge(R3, BROKEN, CHANGED, firing).since == Since(700.0, exact=True)


def test_a_pending_alert_is_a_doubt() -> None:
    assert judge(R3, KEPT, START, answer("R3", pending={"MayflyAlert": 800.0})).state is State.PENDING


@pytest.mark.parametrize(
    ("since", "fired", "expected"),
    [
        (START, None, Since(400.0, exact=False)),  # Prometheus has looked for longer than purge lives
        (START, 600.0, Since(600.0, exact=True)),
        (CHANGED, 600.0, CHANGED),  # what purge has seen itself is newer
        (CHANGED, 1600.0, Since(1600.0, exact=True)),
    ],
)
def test_a_rule_is_kept_since_the_last_time_that_it_was_not(since: Since, fired: float | None, expected: Since) -> None:
    assert judge(R3, KEPT, START, answer("R3", watched=1200.0)).since == START, "purge has looked for longer"
    assert judge(R1, ELSEWHERE, START, answer("R1")).since == Since(400.0, exact=False)
    assert judge(R3, KEPT, since, answer("R3", fired=fired)).since == expected


def test_silence_of_prometheus_counts_only_where_it_watches_and_purge_can_not_know_better() -> None:
    assert judge(R1, ELSEWHERE, START, answer("R1")).state is State.KEPT
    assert judge(R1, ELSEWHERE, START, answer("R2")).state is State.UNKNOWN, "no alert has this rule"
    assert judge(R1, ELSEWHERE, START, answer("R1", failing=["MayflyAlert"])).state is State.UNKNOWN
    assert judge(R5, UNKNOWN, START, answer("R5")).state is State.UNKNOWN, "nobody has ever audited"


@pytest.mark.parametrize("up", [(), *(set(HOLDERS) - {down} | {"purge"} for down in HOLDERS)])
def test_silence_about_a_service_that_prometheus_does_not_reach_says_nothing(up: Iterable[str]) -> None:
    assert judge(R1, ELSEWHERE, START, answer("R1", up=up)).state is State.UNKNOWN
    assert judge(R1, ELSEWHERE, START, answer("R1", up=up)).since is None
    assert judge(R1, ELSEWHERE, START, answer("R1", up=up, firing={"MayflyAlert": 7.0})).state is State.BROKEN
    assert judge(R1, ELSEWHERE, START, answer("R1", up=up, pending={"MayflyAlert": 7.0})).state is State.PENDING
    assert judge(R3, KEPT, START, answer("R3", up=up)).state is State.KEPT, "purge has looked itself"


@pytest.mark.parametrize(
    ("answered", "why"),
    [
        (None, "; Prometheus can."),
        (answer("R2"), ", and no alert of Prometheus is about it."),
        (answer("R1", watching={}), ", and no alert of Prometheus is about it."),
        (answer("R1", failing=["MayflyAlert"]), ", and Prometheus can’t work out its alerts now."),
        (answer("R1", up=(), failing=["MayflyAlert"]), ", and Prometheus can’t work out its alerts now."),
        (answer("R1", up=("gateway", "purge")), ", and Prometheus does not reach each process that can."),
    ],
)
def test_the_page_says_why_nobody_knows(answered: Answer | None, why: str) -> None:
    verdict = judge(R1, ELSEWHERE, START, answered)
    assert verdict.state is State.UNKNOWN
    look = Look(at=2000.0, verdicts=(verdict,), asked=True, answered=answered is not None)
    assert f'<p class="since">Purge can’t see this by itself{why}</p>' in sections.rules(look)
