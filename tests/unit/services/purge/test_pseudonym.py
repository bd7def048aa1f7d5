"""A day's key outlives its day by one lease ceiling, and then nobody can tell who an owner was."""

from __future__ import annotations

from typing import Any

from services.purge import keys
from services.purge.pseudonym import Pseudonyms
from services.purge.registry import Registry
from tests.unit.services.purge.test_reaper import ManualClock

ALICE, BOB = b"a" * 32, b"b" * 32
MIDNIGHT = 1_795_392_000.0  # 2026-11-23


def at(seconds: float) -> ManualClock:
    clock = ManualClock()
    clock.now = MIDNIGHT + seconds
    return clock


async def test_one_owner_one_pseudonym_for_one_day(registry: Registry, admin: Any) -> None:
    clock = at(86_390)
    ours, replica = Pseudonyms(registry, clock, 300), Pseudonyms(registry, clock, 300)
    today = await ours.current(ALICE)
    assert today == await replica.current(ALICE) != await ours.current(BOB)
    assert len(today) == 32
    assert ours.day() == "2026-11-23"
    assert 305_000 < admin.pttl(keys.pseudonym_key("2026-11-23")) <= 310_000
    clock.now += 20
    tomorrow = await ours.current(ALICE)
    assert tomorrow != today
    assert await ours.possible(ALICE) == [tomorrow, today]
    clock.now += 400
    assert await ours.possible(ALICE) == [tomorrow]


async def test_a_key_that_was_flushed_away_is_put_back(registry: Registry, admin: Any) -> None:
    clock = at(100)
    pseudonyms = Pseudonyms(registry, clock, 300)
    before = await pseudonyms.current(ALICE)
    admin.flushall()
    clock.now += 6
    assert await pseudonyms.current(ALICE) == before
    assert await Pseudonyms(registry, clock, 300).current(ALICE) == before


async def test_asking_makes_no_key(registry: Registry, admin: Any) -> None:
    assert await Pseudonyms(registry, at(100), 300).possible(ALICE) == []
    assert admin.dbsize() == 0
