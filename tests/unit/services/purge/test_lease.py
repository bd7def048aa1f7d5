"""The lease's state machine under any order of grants, holds, crashes, duplicates, late messages and ends."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.purge.lease import ENDED, LIVE, End, Holding, Lease, Outcome, State, WrongState

HOLDERS = ["gateway/g-0/aa", "ingest/i-0/bb", "ingest/i-0/cc", "render/r-0/dd"]
holders = st.sampled_from(HOLDERS)
outcomes = st.sampled_from(list(Outcome))


class LeaseMachine(RuleBasedStateMachine):
    """Reports arrive once, twice, late and out of order; commands arrive at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.lease = Lease()
        self.ordinal = 0
        self.sent: list[tuple[str, str, int]] = []
        self.micros = dict.fromkeys(HOLDERS, 0)
        self.end: End | None = None
        self.concluded = 0

    def _apply(self, kind: str, holder: str, ordinal: int) -> None:
        before = self.lease
        self.lease = before.hold(holder, ordinal) if kind == "hold" else before.release(holder, ordinal, 7)
        if kind == "release" and self.lease is not before:
            assert before.custody[holder].holding is Holding.HELD, "a release without a hold"
            self.micros[holder] += 7

    @rule(kind=st.sampled_from(["hold", "release"]), holder=holders)
    def report(self, kind: str, holder: str) -> None:
        self.ordinal += 1
        self.sent.append((kind, holder, self.ordinal))
        self._apply(kind, holder, self.ordinal)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        """What was sent before is sent again: it changes nothing, unless the holder was never heard of."""
        kind, holder, ordinal = data.draw(st.sampled_from(self.sent))
        before = self.lease
        self._apply(kind, holder, ordinal)
        assert self.lease is before

    @rule(holder=holders)
    def die(self, holder: str) -> None:
        self.lease = self.lease.lose(holder)
        assert holder not in self.lease.holders

    @rule(transition=st.sampled_from(["park", "claim", "return_claim"]), claimant=st.sampled_from(["me", "another"]))
    def move(self, transition: str, claimant: str) -> None:
        allowed = {
            "park": (State.GRANTED, State.ACTIVE),
            "claim": (State.PARKED,),
            "return_claim": (State.CLAIMED,),
        }[transition]
        words = () if transition == "park" else (claimant,)
        mine = self.lease.state is not State.CLAIMED or self.lease.claimant == claimant
        stays = transition == "return_claim" and self.lease.repeated
        if self.lease.state in allowed and mine and not stays:
            self.lease = getattr(self.lease, transition)(*words)
        elif transition == "claim" and self.lease.state is State.CLAIMED and mine:
            self.lease = self.lease.claim(claimant)
            assert (self.lease.claimant, self.lease.repeated) == (claimant, True)
            assert self.lease.claim(claimant) is self.lease
        else:
            with pytest.raises(WrongState):
                getattr(self.lease, transition)(*words)

    @rule(outcome=outcomes, at=st.floats(0, 1e9))
    def decide(self, outcome: Outcome, at: float) -> None:
        self.lease = self.lease.decide(End(outcome, "test", at))
        self.end = self.end or self.lease.end

    @rule()
    def conclude(self) -> None:
        if self.lease.state is State.ENDING:
            self.lease = self.lease.conclude()
            self.concluded += 1
            assert not self.lease.holders
        else:
            with pytest.raises(WrongState):
                self.lease.conclude()

    @invariant()
    def exactly_one_end(self) -> None:
        assert self.concluded == (self.lease.state in ENDED)
        assert self.lease.end == self.end, "the first decision stands"
        assert (self.lease.end is None) == (self.lease.state in LIVE)
        if self.lease.state in ENDED:
            assert self.end is not None
            assert self.lease.state.value == self.end.outcome.value

    @invariant()
    def holders_of_an_ended_lease_are_told(self) -> None:
        assert self.lease.demands == (frozenset() if self.lease.state in LIVE else self.lease.holders)

    @invariant()
    def time_is_counted_once(self) -> None:
        for holder, custody in self.lease.custody.items():
            assert custody.micros == self.micros[holder]

    @invariant()
    def not_granted_once_held(self) -> None:
        assert not (self.lease.custody and self.lease.state is State.GRANTED)


LeaseMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLeaseMachine = LeaseMachine.TestCase


def test_a_late_hold_after_the_end_is_recorded_and_demands_revocation() -> None:
    lease = Lease().hold("ingest/i/a", 1).release("ingest/i/a", 2, 5)
    lease = lease.decide(End(Outcome.REVOKED, "requested", 1)).conclude()
    late = lease.hold("render/r/b", 1)
    assert late.demands == {"render/r/b"}
    assert late.state is State.REVOKED


def test_an_expected_holder_is_awaited_before_it_was_heard_of() -> None:
    lease = Lease().expect(["render/r/b"])
    assert lease.unreleased(["ingest/i/a"]) == {"render/r/b", "ingest/i/a"}
    lease = lease.hold("render/r/b", 1).release("render/r/b", 2, 9)
    assert lease.unreleased() == frozenset()


def test_a_holder_may_hold_again_and_its_time_adds_up() -> None:
    lease = Lease().hold("gateway/g/a", 1).release("gateway/g/a", 2, 5).park().claim("me")
    lease = lease.hold("gateway/g/a", 3).release("gateway/g/a", 4, 6)
    assert lease.custody["gateway/g/a"].micros == 11


def test_the_dead_do_not_hold_again() -> None:
    lease = Lease().hold("ingest/i/a", 1).lose("ingest/i/a")
    assert lease.hold("ingest/i/a", 2) is lease
    assert lease.release("ingest/i/a", 3, 5) is lease
