"""How long photos stayed, and how long they stayed too long; where a moment is lost, never less than the truth."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from mesh.clock import SystemClock
from mesh.errors import Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge.lease import Outcome
from services.purge.metrics import PurgeMetrics
from services.purge.registry import GRACE, Reply
from services.purge.residency import Residency
from tests.unit.services.purge.desk import Desk, Holder, desk
from tests.unit.serving import FakeClock

BEGAN = 1_750_000_000.0
INFINITY = float("inf")
AWAY = Unavailable("REGISTRY_UNAVAILABLE", "Away.", retry_after=1)


class World:
    def __init__(self) -> None:
        self.clock = FakeClock(BEGAN)
        self.registry = CollectorRegistry()
        self.residency = Residency(PurgeMetrics(self.registry), 300.0)

    def over(self, outcome: str = "settled", **facts: Any) -> tuple[float, float]:
        """The residency and the lag that this adds."""
        before = self.sums(outcome)
        known = {"granted": BEGAN, "due": INFINITY, "expire": BEGAN + 120, "now": self.clock.wall()}
        self.residency.over(outcome, **known | facts)
        after = self.sums(outcome)
        return round(after[0] - before[0], 3), round(after[1] - before[1], 3)

    def sums(self, outcome: str) -> tuple[float, float]:
        return self.get("mayfly_residency_seconds_sum", outcome), self.get("mayfly_deletion_lag_seconds_sum", outcome)

    def get(self, name: str, outcome: str, **labels: str) -> float:
        value = self.registry.get_sample_value(name, {"outcome": outcome} | labels)
        assert value is not None
        return value


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_series_is_there_from_0_on_with_what_is_promised_as_a_bound(world: World, outcome: Outcome) -> None:
    for bound in ("30.0", "60.0", "120.0", "300.0"):
        assert world.get("mayfly_residency_seconds_bucket", outcome.value, le=bound) == 0
    assert world.get("mayfly_deletion_lag_seconds_bucket", outcome.value, le="1.0") == 0


def test_delivered(world: World) -> None:
    world.clock.advance(20)
    assert world.over(due=BEGAN + 19.5) == (20, 0.5)


def test_expired_nobody_had_wanted_its_end_before(world: World) -> None:
    world.clock.advance(120.25)
    assert world.over("expired") == (120.25, 0.25)


def test_it_was_to_end_long_before_it_expired(world: World) -> None:
    """Delivered, and the registry didn't answer until the lease was over."""
    world.clock.advance(120.25)
    assert world.over("expired", due=BEGAN + 20) == (120.25, 100.25)


def test_a_lease_of_which_only_the_log_is_left_lasted_as_long_as_a_lease_can(world: World) -> None:
    world.clock.advance(10)
    assert world.over("revoked", granted=None, due=BEGAN + 9) == (190, 1)


def test_keys_that_nobody_could_delete_had_their_ttl(world: World) -> None:
    world.clock.advance(5000)
    late = 120 + GRACE
    assert world.over("expired", receipted=BEGAN + 120.5) == (late, GRACE)
    assert world.over("expired", receipted=BEGAN + 4000) == (4000, 3880), "the receipt came later than that"
    assert world.over("expired") == (5000, 4880), "and this one just now"


def test_a_clock_that_went_back_is_no_negative_time(world: World) -> None:
    world.clock.advance(-3)
    assert world.over(due=BEGAN - 1) == (0, 0)


class LeapingClock(SystemClock):
    """The real time, and what was added to it. stepped: to the wall clock alone, as when it is set."""

    leapt = stepped = 0.0

    def wall(self) -> float:
        return super().wall() + self.leapt + self.stepped

    def monotonic(self) -> float:
        return super().monotonic() + self.leapt


async def test_an_end_that_had_to_be_asked_for_twice_was_due_at_the_first_time(
    valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise AWAY

    clock = LeapingClock()
    async with desk(valkey.url, tmp_path / "log", clock=clock) as purge:
        grant = await purge.grant(ttl=60)
        with monkeypatch.context() as patched:
            patched.setattr(purge.core.registry, "end_if_released", away)
            patched.setattr(purge.core.registry, "decide", away)
            with pytest.raises(Unavailable):
                await purge.core.endings.settle(grant.photo_id, [], "delivered")
        clock.leapt = 12
        await purge.core.endings.settle(grant.photo_id, [], "delivered")
        assert 12 <= purge.metric("mayfly_deletion_lag_seconds_sum", outcome="settled") < 60


@pytest.mark.parametrize("outcome", [Outcome.SETTLED, Outcome.REVOKED])
@pytest.mark.parametrize("step", [3600.0, -3600.0])
async def test_a_wall_clock_that_is_set_is_no_time_that_a_photo_stayed(
    valkey: ValkeyServer, tmp_path: Path, step: float, outcome: Outcome
) -> None:
    clock = LeapingClock()
    async with desk(valkey.url, tmp_path / "log", clock=clock) as purge:
        grant = await purge.grant(ttl=60)
        clock.leapt = 20
        clock.stepped = step
        if outcome is Outcome.SETTLED:
            await purge.core.endings.settle(grant.photo_id, [], "delivered")
        else:
            await purge.core.endings.revoke(grant.photo_id, "requested")
        await eventually(lambda: purge.metric("mayfly_residency_seconds_count", outcome=outcome.value) == 1)
        assert 20 <= purge.metric("mayfly_residency_seconds_sum", outcome=outcome.value) < 60
        assert purge.metric("mayfly_deletion_lag_seconds_sum", outcome=outcome.value) < 20


async def test_an_end_whose_answer_was_lost_is_no_older_for_a_clock_that_is_set(
    valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = LeapingClock()
    async with desk(valkey.url, tmp_path / "log", clock=clock) as purge:
        grant, decide = await purge.grant(ttl=60), purge.core.registry.decide

        async def lost(*arguments: Any) -> None:
            await decide(*arguments)
            raise AWAY

        monkeypatch.setattr(purge.core.registry, "decide", lost)
        with pytest.raises(Unavailable):
            await purge.core.endings.revoke(grant.photo_id, "requested")
        monkeypatch.setattr(purge.core.registry, "decide", decide)
        clock.stepped = 3600
        await purge.core.endings.revoke(grant.photo_id, "requested")
        await eventually(lambda: purge.metric("mayfly_deletion_lag_seconds_count", outcome="revoked") == 1)
        assert purge.metric("mayfly_deletion_lag_seconds_sum", outcome="revoked") < 20


@pytest.mark.parametrize(
    ("gone", "leapt", "least", "most"),
    [
        (False, 15, 14, 60),  # they were there until now
        (True, 15, 14, 60),
        (True, 3000, 299, 310),  # whenever they went, it was with the end of the longest lease
    ],
)
async def test_keys_that_outlived_a_restart_count_until_they_are_gone(
    valkey: ValkeyServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    admin: Any,
    gone: bool,
    leapt: float,
    least: float,
    most: float,
) -> None:
    """It has its receipt, and purge stopped before it could delete them. gone: by their TTL, meanwhile."""

    async def away(*_: object) -> None:
        raise AWAY

    async def held(*_: object) -> Reply:
        return Reply.HELD

    clock = LeapingClock()
    async with desk(valkey.url, tmp_path / "log", clock=clock) as purge:
        grant = await purge.grant(ttl=60)
        monkeypatch.setattr(purge.core.registry, "end_if_released", held)  # so it goes the long way
        for step in ("commit", "finish"):  # of the two that delete keys, neither
            monkeypatch.setattr(purge.core.registry, step, away)
        await purge.core.endings.settle(grant.photo_id, [], "delivered")
        await purge.receipt_of(grant.photo_id)
        assert purge.metric("mayfly_residency_seconds_count", outcome="settled") == 0
    if gone:
        assert admin.delete(*admin.keys(f"lease:*:{grant.photo_id}")) == 1
    clock.leapt = leapt
    async with desk(valkey.url, tmp_path / "log", clock=clock) as purge:
        assert purge.metric("mayfly_residency_seconds_count", outcome="settled") == 1
        assert least <= purge.metric("mayfly_residency_seconds_sum", outcome="settled") < most
        assert least <= purge.metric("mayfly_deletion_lag_seconds_sum", outcome="settled") < most


async def test_each_way_to_end_is_measured_once(valkey: ValkeyServer, tmp_path: Path) -> None:
    def counts(purge: Desk) -> dict[str, tuple[float, float]]:
        return {
            outcome.value: (
                purge.metric("mayfly_residency_seconds_count", outcome=outcome.value),
                purge.metric("mayfly_deletion_lag_seconds_count", outcome=outcome.value),
            )
            for outcome in Outcome
        }

    async with desk(valkey.url, tmp_path / "log") as purge:
        ingest = await Holder(purge.core).connect()
        settled, revoked, left = [await purge.grant() for _ in range(3)]
        await purge.core.endings.settle(settled.photo_id, [], "delivered")
        await ingest.hold(revoked.photo_id)
        revoking = asyncio.create_task(purge.core.endings.revoke(revoked.photo_id, "requested"))
        await ingest.told_to_drop(revoked.photo_id)
        await ingest.release(revoked.photo_id, 1_000)
        await revoking
        expired = await purge.grant(ttl=5.0)
        entry = purge.core.book.get(expired.photo_id)
        assert entry is not None
        purge.core.endings.expire(expired.photo_id)
        await purge.receipt_of(expired.photo_id)
        await eventually(lambda: counts(purge) == {"settled": (1, 1), "revoked": (1, 1), "expired": (1, 1)})
    # What lived at the stop goes on after it, from the lease's own times.
    async with desk(valkey.url, tmp_path / "log") as purge:
        before = purge.metric("mayfly_residency_seconds_sum", outcome="revoked")
        await purge.core.endings.revoke(left.photo_id, "requested")
        lived = purge.core.clock.wall() - left.granted
        await eventually(lambda: counts(purge)["revoked"] == (1, 1))
        measured = purge.metric("mayfly_residency_seconds_sum", outcome="revoked") - before
        assert 0 < measured <= lived + 1
        assert purge.metric("mayfly_deletion_lag_seconds_bucket", outcome="revoked", le="300.0") == 1
