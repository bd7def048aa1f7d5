"""Many leases that expire at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mesh.errors import NotFound, Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import keys
from services.purge.registry import Reply
from tests.unit.services.purge.desk import Desk, Holder, desk
from tests.unit.services.purge.world import keys_without_ttl


@pytest.fixture
async def purge(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(valkey.url, tmp_path / "log") as running:
        await running.core.attestation.stop()  # nobody else makes round trips
        yield running


async def test_those_that_nobody_holds_go_together_and_the_others_one_by_one(purge: Desk, admin: Any) -> None:
    ingest = await Holder(purge.core).connect()
    grants = await asyncio.gather(*[purge.grant(ttl=1.5) for _ in range(300)])
    held, released = grants[:5], grants[5]
    for grant in (*held, released):
        await ingest.hold(grant.photo_id)
    await ingest.release(released.photo_id)
    before = purge.core.link.round_trips
    receipts = await eventually(lambda: len(purge.receipts()) >= 295 and purge.receipts(), within=4)
    assert {(r.outcome, r.reason) for r in receipts.values()} == {("expired", "overdue")}
    assert purge.core.link.round_trips - before < 100
    assert not admin.exists(*[keys.of_photo(g.photo_id).lease for g in grants[5:]])
    for grant in held:
        await ingest.told_to_drop(grant.photo_id)
        await ingest.release(grant.photo_id)
    await eventually(lambda: len(purge.receipts()) == 300, within=3)
    await purge.conserved()
    assert [c.state for c in purge.receipts()[released.photo_id].custody] == ["released"]
    assert keys_without_ttl(admin) == []
    assert (await purge.core.endings.receipt(grants[-1].photo_id)).receipt == receipts[grants[-1].photo_id]
    await eventually(lambda: not admin.keys("owner:*") and not admin.keys("lease:*") and not admin.keys("due:*"))
    assert purge.metric("mayfly_leases_ended_total", outcome="expired", reason="overdue") == 300


async def test_who_comes_meanwhile_joins(purge: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    original, go = purge.core.registry.end_all_if_released, asyncio.Event()

    async def slowly(photo_ids: Any) -> list[Reply]:
        await go.wait()
        return await original(photo_ids)

    monkeypatch.setattr(purge.core.registry, "end_all_if_released", slowly)
    grant = await purge.grant(ttl=1.0)
    await eventually(lambda: purge.core.endings.is_ending(grant.photo_id), within=3)
    joined = [
        asyncio.create_task(purge.core.endings.settle(grant.photo_id, [], "delivered")),
        asyncio.create_task(purge.core.endings.revoke(grant.photo_id, "requested")),
    ]
    await asyncio.sleep(0)
    go.set()
    for task in joined:
        with pytest.raises(NotFound):
            await task
    assert [r.outcome for r in purge.receipts().values()] == ["expired"]


async def test_one_that_was_decided_before_keeps_its_decision(purge: Desk, admin: Any) -> None:
    grant, other = await purge.grant(ttl=1.0), await purge.grant(ttl=1.0)
    lease = keys.of_photo(grant.photo_id).lease
    admin.hset(lease, mapping={"state": "ending", "outcome": "revoked", "reason": "refused", "ended": "1000"})
    assert (await purge.receipt_of(grant.photo_id)).reason == "refused"
    assert (await purge.receipt_of(other.photo_id)).reason == "overdue"
    assert len(purge.receipts()) == 2


async def test_one_of_another_home_is_left_alone(purge: Desk, admin: Any) -> None:
    grant = await purge.grant(ttl=1.0)
    admin.hset(keys.of_photo(grant.photo_id).lease, "home", "purge-7")
    await eventually(lambda: purge.core.book.get(grant.photo_id) is None, within=3)
    assert purge.receipts() == {}


async def test_an_end_that_failed_is_asked_for_again(purge: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    original, fails = purge.core.endings._carry_out, 2

    async def sometimes(*args: Any) -> Any:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise Unavailable("REGISTRY_UNAVAILABLE", "Away.")
        return await original(*args)

    async def away(_: object) -> list[Reply]:
        raise Unavailable("REGISTRY_UNAVAILABLE", "Away.")

    monkeypatch.setattr(purge.core.endings, "_carry_out", sometimes)
    monkeypatch.setattr(purge.core.registry, "end_all_if_released", away)
    grant = await purge.grant(ttl=1.0)
    assert (await purge.receipt_of(grant.photo_id)).outcome == "expired"
    assert fails < 0


async def test_a_registry_that_fails_in_the_middle_keeps_nobody_from_the_receipts(
    purge: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: object) -> list[Reply]:
        raise Unavailable("REGISTRY_UNAVAILABLE", "Away.")

    monkeypatch.setattr(purge.core.registry, "end_all_if_released", fails)
    grants = await asyncio.gather(*[purge.grant(ttl=1.0) for _ in range(20)])
    receipts = await eventually(lambda: len(purge.receipts()) == len(grants) and purge.receipts(), within=3)
    assert {(r.outcome, r.reason) for r in receipts.values()} == {("expired", "registry_lost")}
    await purge.conserved()
