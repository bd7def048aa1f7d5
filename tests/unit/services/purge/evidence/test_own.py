"""What purge says of each rule: kept only where it has looked, broken where it saw that, else that it can't tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mesh.lockdown.policy import PERMISSIVE
from mesh.rules import BY_ID, RULES
from services.purge.audit import Residue, Statement
from services.purge.evidence.audits import Seen
from services.purge.evidence.judging import Since, judge
from services.purge.evidence.own import AUDIT_FRESH, OVERDUE, SETTLED, Finding, Own, State
from services.purge.evidence.prometheus import Alerts, Answer
from services.purge.facts import FACTS
from services.purge.statement import Profile
from services.purge.tally import Totals
from tests.unit.services.purge.test_audit import CLEAN
from tests.unit.serving import FakeClock

SERVICES = ("gateway", "ingest", "render")
TOTALS = Totals(5, {("settled", "delivered"): 3, ("expired", "overdue"): 1})
LOCKED = Profile(("no_core_dumps", "no_swap"), ("onnx",))


@dataclass
class World:
    """As much of a core as purge looks at, all well; it stands for each of the parts that are asked. A test spoils it.

    live: open leases.
    """

    clock: FakeClock = field(default_factory=FakeClock)
    violations: dict[str, str] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
    keys: int = 3
    up: bool = True
    profiles: dict[str, Profile] = field(default_factory=lambda: dict.fromkeys(SERVICES, LOCKED))
    held: Counter[str] = field(default_factory=lambda: Counter(ingest=1))
    stuck: list[str] = field(default_factory=list)
    late: float = 0.0
    tally: object | None = "read"
    totals: Totals = TOTALS
    live: int = 1
    shards: tuple[str, ...] = ()
    statement: Statement | None = None
    controls: dict[str, bool] = field(default_factory=lambda: {"seccomp": True})

    def __post_init__(self) -> None:
        self.statement = replace(CLEAN, time=round(self.clock.wall()))
        self.own = Own(self, self, self.controls, self.clock)  # type: ignore[arg-type]

    @property
    def attestation(self) -> World:
        return self

    link = book = custody = reaper = ledger = unconfirmed = attestation

    @property
    def safe(self) -> bool:
        return not self.violations and self.up

    def __len__(self) -> int:
        return self.live

    def irrevocable(self) -> list[str]:
        return self.stuck

    def overdue_seconds(self) -> float:
        return self.late

    def connected(self) -> dict[str, float]:
        return dict.fromkeys(self.profiles, 1.0)

    def attending(self) -> list[tuple[str, Profile]]:
        return list(self.profiles.items())

    def last(self) -> Seen | None:
        return None if self.statement is None else Seen(4, self.statement, "keyid")


def spoil(**changes: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        for name, value in changes.items():
            setattr(world, name, value)

    return change


def audited(**changes: Any) -> Callable[[World], None]:
    return lambda world: setattr(world, "statement", replace(world.statement, **changes))  # type: ignore[type-var]


def uneven(seconds: float) -> Callable[[World], None]:
    """One lease has got lost, for so long."""

    def change(world: World) -> None:
        world.live = 0
        world.own.look()
        world.clock.advance(seconds)

    return change


def granted_while_unsafe(world: World) -> None:
    world.violations = {"save": "CONFIG 'save' is on"}
    world.own.look()
    world.clock.advance(OVERDUE + 0.1)
    world.own.look()
    world.totals = Totals(6, world.totals.ended)


def unlocked(profile: Profile) -> Callable[[World], None]:
    return lambda world: world.profiles.update(render=profile)


def silent(world: World) -> None:
    del world.profiles["ingest"]


KEPT, BROKEN, UNKNOWN = State.KEPT, State.BROKEN, State.UNKNOWN
UNATTESTED = spoil(violations={"unattested": "it could not be attested"})
CASES = [
    ("R2", spoil(), KEPT, "3 keys, each with an end"),
    ("R2", spoil(keys=0), KEPT, "no key"),
    *[("R2", spoil(violations={fact: f"that is {fact}"}), BROKEN, f"that is {fact}")
      for fact in ("keys_without_ttl", "long_ttl", "unknown_keys", "parked_plaintext")],
    ("R2", UNATTESTED, UNKNOWN, "can't be looked at"),
    ("R2", spoil(unseen=("parked_values",)), UNKNOWN, "does not show parked_values"),
    ("R2", spoil(unseen=("save", "acl")), KEPT, "each with an end"),
    ("R3", spoil(), KEPT, "persists nothing"),
    ("R3", spoil(unseen=("parked_values",)), KEPT, "persists nothing"),
    ("R3", spoil(unseen=("save", "replicas")), UNKNOWN, "does not show save, replicas"),
    *[("R3", spoil(violations={fact: f"that is {fact}"}), BROKEN, f"that is {fact}")
      for fact in ("save", "appendonly", "snapshot", "replica_disk", "transport")],
    ("R3", lambda world: world.own._controls.update(seccomp=False), BROKEN, "Purge runs without seccomp"),
    ("R3", unlocked(Profile((), ())), BROKEN, "Not locked down: render"),
    ("R3", unlocked(Profile((PERMISSIVE, "no_swap"), ())), BROKEN, "Not locked down: render"),
    ("R3", UNATTESTED, UNKNOWN, "can't be looked at"),
    ("R4", spoil(), KEPT, "1 hold on photos now, none past its lease"),
    ("R4", spoil(late=OVERDUE), KEPT, "none past its lease"),
    ("R4", spoil(late=OVERDUE + 1), BROKEN, "3 s past its end"),
    ("R4", spoil(stuck=["a", "b"]), BROKEN, "2 photos past the lease"),
    ("R4", silent, UNKNOWN, "Not heard: ingest"),
    ("R5", spoil(), KEPT, "found 0 bytes"),
    ("R5", audited(outcome="residue", residue=(Residue("ingest", "memory", 4096),)), BROKEN, "found 4.1 kB"),
    ("R5", audited(outcome="incomplete"), UNKNOWN, "could not look everywhere"),
    ("R5", lambda world: world.clock.advance(AUDIT_FRESH + 60), UNKNOWN, "more than a day old"),
    ("R5", spoil(statement=None), UNKNOWN, "no audit in this log"),
    ("R6", spoil(), KEPT, "5 admitted = 1 live + 4 ended"),
    ("R6", uneven(SETTLED), KEPT, "5 admitted ≠ 0 live + 4 ended, for a moment"),
    ("R6", uneven(SETTLED + 0.1), BROKEN, "5 admitted ≠ 0 live + 4 ended."),
    ("R6", spoil(late=OVERDUE + 1), BROKEN, "3 s past its end, and has no receipt"),
    ("R6", spoil(late=OVERDUE + 1, shards=("other",)), BROKEN, "has no receipt"),
    ("R6", spoil(tally=None), UNKNOWN, "has not been read"),
    ("R6", spoil(shards=("other",)), UNKNOWN, "is not looked at here"),
    ("R8", spoil(), KEPT, "photos are admitted"),
    ("R8", spoil(violations={"save": "CONFIG 'save' is on"}), KEPT, "not as it must be: no photo is admitted"),
    ("R8", spoil(up=False), KEPT, "Redis is away: no photo is admitted"),
    ("R8", granted_while_unsafe, BROKEN, "admitted although"),
    ("R8", spoil(tally=None), UNKNOWN, "has not been read"),
    ("R8", spoil(unseen=("save", "last_save", "acl")), UNKNOWN, "does not show save, last_save."),
    ("R8", spoil(unseen=("acl", "parked_values")), KEPT, "photos are admitted"),
    ("R8", spoil(unseen=("save",), up=False), KEPT, "Redis is away: no photo is admitted"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "spoil", "state", "said"), CASES)
def test_what_purge_says_by_itself(rule: str, spoil: Callable[[World], None], state: State, said: str) -> None:
    world = World()
    spoil(world)
    found = world.own.look()
    assert (found[rule].state, said in found[rule].sentence) == (state, True), found[rule]
    assert found[rule].looks_at or state is UNKNOWN, "nobody says that a rule is kept, or broken, who has not looked"


@pytest.mark.parametrize(("rule", "who"), [("R1", SERVICES), ("R7", (*SERVICES, "purge")), ("R9", SERVICES)])
def test_what_only_others_see_is_judged_by_their_alerts(rule: str, who: tuple[str, ...]) -> None:
    found, since = World().own.look()[rule], Since(0.0, exact=False)
    assert (found.state, found.looks_at, found.elsewhere) == (UNKNOWN, "", who)
    assert judge(BY_ID[rule], found, since, None).state is UNKNOWN
    silent, up = Alerts(watching={"MayflyAlert": "up == 0"}), frozenset(who)
    assert judge(BY_ID[rule], found, since, Answer({rule: silent}, {}, 1.0, up)).state is KEPT
    for few in (frozenset[str](), frozenset({"purge"}), *(up - {down} for down in who)):
        assert judge(BY_ID[rule], found, since, Answer({rule: silent}, {}, 1.0, few)).state is UNKNOWN
    firing = replace(silent, firing={"MayflyAlert": 5.0})
    assert judge(BY_ID[rule], found, since, Answer({rule: firing}, {}, 1.0, frozenset())).state is BROKEN


def test_with_several_replicas_alerts_over_all_of_them_say_whether_each_lease_ended_once() -> None:
    world = World(shards=("other",))
    found, since = world.own.look()["R6"], Since(0.0, exact=False)
    answer = Answer({"R6": Alerts(watching={"MayflyConservationBroken": "x > 0"})}, {}, 1.0, frozenset({"purge"}))
    assert judge(BY_ID["R6"], found, since, answer).state is KEPT
    unseen = replace(answer, up=frozenset(SERVICES))
    assert judge(BY_ID["R6"], found, since, unseen).state is UNKNOWN, "a replica counts, and nobody reads it"
    world.live = 0
    assert world.own.look()["R6"] == found, "leases that moved are no difference"


def test_a_difference_that_goes_begins_anew() -> None:
    world = World()
    uneven(SETTLED - 1)(world)
    world.live = 1
    assert world.own.look()["R6"].state is KEPT
    uneven(SETTLED - 1)(world)
    assert world.own.look()["R6"].state is KEPT


@pytest.mark.parametrize("between", [spoil(late=OVERDUE + 1), spoil(shards=("other",)), spoil(tally=None)])
def test_a_difference_that_went_while_something_else_was_said_begins_anew(between: Callable[[World], None]) -> None:
    world = World()
    uneven(1)(world)
    between(world)
    world.live = 1
    world.own.look()
    world.late, world.shards, world.tally = 0.0, (), "read"
    world.clock.advance(SETTLED)
    world.live = 0
    assert world.own.look()["R6"].state is KEPT, "of a lease that was lost long ago, and found again"


def test_a_difference_counts_from_its_beginning_also_while_a_lease_is_overdue() -> None:
    world = World(late=OVERDUE + 1)
    uneven(SETTLED + 0.1)(world)
    world.late = 0.0
    assert "5 admitted ≠ 0 live" in world.own.look()["R6"].sentence
    assert world.own.look()["R6"].state is BROKEN


def test_what_was_looked_at_is_said_also_while_the_log_is_unread() -> None:
    assert World(tally=None).own.look()["R6"].looks_at == "leases of this replica past their end"


def test_every_rule_has_each_case_and_every_fact_of_redis_somebody_who_looks() -> None:
    own = {rule for rule, *_ in CASES}
    assert own | {"R1", "R7", "R9"} == set(World().own.look()) == {rule.id for rule in RULES}
    for rule in own:
        assert {state for which, _, state, _ in CASES if which == rule} == {KEPT, BROKEN, UNKNOWN}
    world = World()
    for fact in FACTS:
        world.violations = {fact: "so"}
        assert any(found != kept for found, kept in _pairs(world.own.look(), World().own.look())), fact


def _pairs(some: dict[str, Finding], others: dict[str, Finding]) -> list[tuple[Finding, Finding]]:
    return [(some[rule], others[rule]) for rule in some]
