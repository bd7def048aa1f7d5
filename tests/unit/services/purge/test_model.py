"""The whole of purge as a model: several leases, replicas, holders; crashes, pauses, partitions, failovers, late calls.

The rules that keep it to one receipt each are in ``model/replica_model.py``; a story for each shows what happens
without it. ``make model`` looks longer.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.purge.lease import Outcome
from tests.unit.services.purge.model.replica_model import Rules
from tests.unit.services.purge.model.story import Event, do, search, tell
from tests.unit.services.purge.model.world import FATES, World

DEEP = int(os.environ.get("MAYFLY_MODEL_EXAMPLES", "0"))
RULES = Rules(**{name: False for name in os.environ.get("MAYFLY_MODEL_WITHOUT", "").split(",") if name})
replicas = st.integers(0, 1)
holders = st.integers(0, 1)
outcomes = st.sampled_from([Outcome.SETTLED, Outcome.REVOKED, Outcome.EXPIRED])
fates = st.sampled_from(["done"] * 5 + list(FATES[1:]))


class Model(RuleBasedStateMachine):
    """Each rule is one event; hypothesis looks for the shortest story that breaks a promise."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(RULES)

    def _photo(self, data: st.DataObject) -> int:
        return data.draw(st.integers(0, len(self.world.expiries) - 1), "photo")

    @precondition(lambda self: len(self.world.expiries) < 4)
    @rule(n=replicas)
    def grant(self, n: int) -> None:
        if self.world.replicas[n].runs:
            self.world.grant(n)

    @precondition(lambda self: any(r.tasks and r.runs for r in self.world.replicas))
    @rule(data=st.data(), fate=fates)
    def step(self, data: st.DataObject, fate: str) -> None:
        n = data.draw(st.sampled_from([n for n, r in enumerate(self.world.replicas) if r.tasks and r.runs]), "replica")
        at = data.draw(st.integers(0, len(self.world.replicas[n].tasks) - 1), "task")
        self.world.step(n, at, fate)

    @precondition(lambda self: any(r.tasks and r.runs for r in self.world.replicas))
    @rule(n=replicas, times=st.integers(1, 6))
    def run(self, n: int, times: int) -> None:
        for _ in range(times):
            if self.world.replicas[n].runs and self.world.replicas[n].tasks:
                self.world.step(n)
                self.world.check()

    @precondition(lambda self: self.world.late)
    @rule(at=st.integers(0, 3))
    def arrive(self, at: int) -> None:
        self.world.arrive(at)

    @precondition(lambda self: self.world.expiries)
    @rule(data=st.data(), n=replicas, outcome=outcomes)
    def end(self, data: st.DataObject, n: int, outcome: Outcome) -> None:
        if self.world.replicas[n].runs:
            self.world.end(n, self._photo(data), outcome)

    @precondition(lambda self: self.world.expiries)
    @rule(data=st.data(), n=replicas)
    def settle(self, data: st.DataObject, n: int) -> None:
        if self.world.replicas[n].runs:
            self.world.settle(n, self._photo(data))

    @precondition(lambda self: self.world.expiries)
    @rule(n=replicas)
    def scan(self, n: int) -> None:
        if self.world.replicas[n].runs:
            self.world.scan(n)

    @precondition(lambda self: self.world.expiries)
    @rule(data=st.data(), h=holders, hold=st.booleans())
    def report(self, data: st.DataObject, h: int, hold: bool) -> None:
        photo = self._photo(data)
        if hold and self.world.now < self.world.expiries[photo]:
            self.world.hold(h, photo)
        else:
            self.world.release(h, photo)

    @rule(h=holders, n=replicas, times=st.integers(1, 4))
    def deliver(self, h: int, n: int, times: int) -> None:
        for _ in range(times):
            self.world.deliver(h, n)

    @rule(h=holders, n=replicas, back=st.integers(1, 3))
    def reconnect(self, h: int, n: int, back: int) -> None:
        self.world.reconnect(h, n, back)

    @rule(h=holders)
    def die(self, h: int) -> None:
        self.world.die(h)

    @rule(n=replicas)
    def crash_or_restart(self, n: int) -> None:
        if self.world.replicas[n].up:
            self.world.crash(n)
        else:
            self.world.restart(n)

    @rule(n=replicas)
    def pause_or_go_on(self, n: int) -> None:
        replica = self.world.replicas[n]
        replica.paused = replica.up and not replica.paused

    @rule(n=replicas)
    def cut_off_or_heal(self, n: int) -> None:
        self.world.replicas[n].linked = not self.world.replicas[n].linked

    @rule()
    def part_or_meet(self) -> None:
        self.world.apart = not self.world.apart

    @rule(times=st.integers(1, 4))
    def tick(self, times: int) -> None:
        for _ in range(times):
            self.world.tick()

    @rule(back=st.one_of(st.none(), st.integers(1, 7)))
    def lose(self, back: int | None) -> None:
        self.world.lose(back)

    @invariant()
    def promises(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self.world.rest()


STORIES: dict[str, list[Event]] = {
    # A lease of a replica that a failover made look dead, while it lives and ends it.
    "fence": [("grant", 0), ("tick", 4), ("lose", None), ("run", 0, 1), ("scan", 1), ("run", 1, 3), ("run", 0, 9)],
    # A grant that timed out is written after its lease was ended; then its home dies.
    "tombstone": [
        ("grant", 0), ("step", 0, 0, "late"), ("run", 0, 9), ("crash", 0), ("arrive",), ("tick", 3),
        ("scan", 1), ("run", 1, 9),
    ],
    # As with the fence, but the lease has been adopted and ended before its first home gets to it.
    "gone": [
        ("lose", None), ("grant", 0), ("run", 0, 1), ("end", 0, 0, "revoked"), ("run", 0, 1), ("scan", 1),
        ("run", 1, 9), ("run", 0, 9),
    ],
    # The home dies between the log and the registry.
    "key_first": [
        ("grant", 0), ("run", 0, 1), ("end", 0, 0, "revoked"), ("run", 0, 1), ("crash", 0), ("tick", 3),
        ("scan", 1), ("run", 1, 9),
    ],
    # Out of sight until its lease is over, the home ends it alone, after another has.
    "ask": [
        ("grant", 0), ("run", 0, 1), ("pause", 0), ("tick", 3), ("scan", 1), ("run", 1, 9), ("end", 1, 0, "revoked"),
        ("run", 1, 9), ("resume", 0), ("tick", 4), ("run", 0, 9),
    ],
    # The failover brings back a lease that has ended, and its home has died.
    "lives": [
        ("grant", 0), ("run", 0, 1), ("end", 0, 0, "revoked"), ("run", 0, 3), ("crash", 0), ("lose", 2), ("tick", 3),
        ("scan", 1), ("run", 1, 9),
    ],
    # Who has adopted the lease dies, and then the registry is lost.
    "owe": [
        ("grant", 0), ("run", 0, 1), ("pause", 0), ("tick", 3), ("scan", 1), ("run", 1, 3), ("resume", 0),
        ("end", 0, 0, "revoked"), ("run", 0, 3), ("crash", 1), ("lose", None),
    ],
}  # fmt: skip


@pytest.mark.parametrize("rule_", STORIES)
def test_every_rule_is_needed(rule_: str) -> None:
    """The same story with the rule and without it."""
    assert tell(STORIES[rule_], Rules()) == ""
    assert tell(STORIES[rule_], replace(Rules(), **{rule_: False})) != ""


@pytest.mark.parametrize("one_count", [True, False])
def test_an_adopted_lease_knows_who_has_let_go_of_it_if_holders_count_their_reports_once(one_count: bool) -> None:
    """A holder's report reaches the home; its release only the other replica, whose stream began later."""
    world = World(Rules(one_count=one_count))
    story: list[Event] = [
        ("grant", 0), ("run", 0, 1), ("hold", 0, 0), ("release", 0, 0), ("hold", 0, 0), ("deliver", 0, 0, 3),
        ("run", 0, 3), ("crash", 1), ("restart", 1), ("crash", 0), ("release", 0, 0), ("deliver", 0, 1, 9),
        ("tick", 3), ("scan", 1), ("run", 1, 3),
    ]  # fmt: skip
    for event in story:
        do(world, event)
    assert (world.replicas[1].book[0].lease.holders == frozenset()) is one_count


@pytest.mark.parametrize("count", [2, 3])
def test_stories_drawn_by_weight_break_no_promise(count: int) -> None:
    story = search(4, RULES, stories=DEEP * 4 or 600, replicas=count)
    assert not story, (tell(story, RULES, count), story)


Model.TestCase.settings = settings(
    max_examples=DEEP or 150, stateful_step_count=40 if not DEEP else 60, deadline=None, derandomize=not DEEP
)
TestModel = Model.TestCase
