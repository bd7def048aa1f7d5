"""A day's key outlives its day by one lease ceiling, and then nobody can tell who an owner was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mesh.testing.valkey import ValkeyServer
from services.purge import keys
from services.purge.pseudonym import Pseudonyms
from services.purge.registry import Registry
from tests.unit.services.purge.desk import OWNER, desk
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


async def test_the_key_of_a_day_goes_from_memory_without_being_asked(registry: Registry, admin: Any) -> None:
    clock = at(86_399)
    pseudonyms = Pseudonyms(registry, clock, 300)
    await pseudonyms.start()
    await pseudonyms.current(ALICE)
    await clock.advance(2)
    await pseudonyms.current(ALICE)
    assert pseudonyms.known_days == ["2026-11-23", "2026-11-24"]
    await clock.advance(297)
    assert pseudonyms.known_days == ["2026-11-23", "2026-11-24"]
    await clock.advance(3)
    assert pseudonyms.known_days == ["2026-11-24"]
    await pseudonyms.stop()
    assert pseudonyms.known_days == []


async def test_an_answer_that_comes_after_the_keys_time_keeps_nothing(
    registry: Registry, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = at(86_390)
    pseudonyms = Pseudonyms(registry, clock, 300)
    ask = registry.day_key

    async def slowly(*args: Any) -> bytes | None:
        key = await ask(*args)
        clock.now += 400
        return key

    monkeypatch.setattr(registry, "day_key", slowly)
    await pseudonyms.start()
    await pseudonyms.current(ALICE)
    await clock.advance(2)
    assert pseudonyms.known_days == []
    await pseudonyms.stop()


async def test_all_who_want_a_days_key_at_once_ask_once(
    registry: Registry, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    ask = registry.day_key

    async def count(*args: Any) -> bytes | None:
        asked.append(args)
        return await ask(*args)

    monkeypatch.setattr(registry, "day_key", count)
    pseudonyms = Pseudonyms(registry, at(0), 300)
    assert len(set(await asyncio.gather(*[pseudonyms.current(ALICE) for _ in range(50)]))) == 1
    assert len(asked) == 1


async def test_replicas_that_begin_a_day_together_agree_on_its_key(registry: Registry, admin: Any) -> None:
    replicas = [Pseudonyms(registry, at(0), 300) for _ in range(20)]
    pseudonyms = await asyncio.gather(*(replica.current(ALICE) for replica in replicas))
    assert len(set(pseudonyms)) == 1


async def test_a_lease_from_before_midnight_is_found_by_its_owner_after_it_and_by_nobody_once_the_key_is_gone(
    valkey: ValkeyServer, admin: Any, tmp_path: Path
) -> None:
    clock = at(86_395)
    async with desk(valkey.url, tmp_path, clock=clock) as purge:
        old = await purge.grant(ttl=300)
        clock.now += 10
        new = await purge.grant(ttl=300)
        strangers = await purge.grant(ttl=300, owner_digest=BOB)
        assert old.owner != new.owner
        assert (purge.core.pseudonyms.day(), len(purge.core.pseudonyms.known_days)) == ("2026-11-24", 2)
        quotas = {key.decode() for key in admin.scan_iter(match="quota:*")}
        assert quotas == {
            keys.quota(old.owner, "2026-11-23"),
            keys.quota(new.owner, "2026-11-24"),
            keys.quota(strangers.owner, "2026-11-24"),
        }
        ended = await purge.core.revoke_owner(OWNER)
        assert set(ended.here) == {old.photo_id, new.photo_id}
        assert purge.core.book.get(strangers.photo_id) is not None
        clock.now += 300
        assert old.owner not in await purge.core.pseudonyms.possible(OWNER)
