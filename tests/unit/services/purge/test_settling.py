"""Delivered photos end in one round trip, and owe one receipt whatever happens in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mesh.errors import NotFound, Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import custody, keys
from services.purge.custody import Acknowledge, Event
from services.purge.ledger import UNLOGGED, Logged
from services.purge.registry import Moved, Reply, Report
from tests.unit.services.purge.desk import Desk, Holder, desk
from tests.unit.services.purge.world import keys_without_ttl


@pytest.fixture
async def purge(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(valkey.url, tmp_path / "log") as running:
        await running.core.attestation.stop()  # nobody else makes round trips
        yield running


def kept(admin: Any, photo_id: str) -> Logged:
    """The receipt in the registry."""
    return Logged.from_bytes(admin.get(keys.of_photo(photo_id).receipt))


async def test_a_photo_takes_three_round_trips_at_most_when_there_are_several(purge: Desk, admin: Any) -> None:
    holders = [await Holder(purge.core, service).connect() for service in ("gateway", "ingest", "render")]
    names = [holder.name for holder in holders]
    await purge.grant()  # the owner's pseudonym is known from now on
    before = purge.core.link.round_trips
    grants = await asyncio.gather(*[purge.grant() for _ in range(10)])
    for grant in grants:
        for holder in holders:
            await holder.send(Event(grant.photo_id, "H"))
    await eventually(lambda: holders[-1].sequence in [getattr(c, "sequence", 0) for c in holders[-1].commands])
    for grant in grants:
        for holder in holders:
            await holder.send(Event(grant.photo_id, "R", 1))
    await asyncio.gather(*[purge.core.endings.settle(g.photo_id, names, "delivered") for g in grants])
    assert purge.core.link.round_trips - before <= 3 * 10
    assert keys_without_ttl(admin) == []


async def test_the_end_takes_the_reports_along_and_they_are_acknowledged(
    purge: Desk, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Report] = []
    original = purge.core.registry.custody

    async def custody(reports: Sequence[Report], *rest: Any) -> dict[str, str]:
        written.extend(reports)
        return await original(reports, *rest)

    async def never(*_: Any) -> None:
        raise AssertionError("the registry had not heard of the release")

    ingest = await Holder(purge.core).connect()
    grant = await purge.grant()
    await ingest.hold(grant.photo_id)
    monkeypatch.setattr("services.purge.writer.WITHIN", 0.3)  # on a slow machine the end comes first, too
    monkeypatch.setattr(purge.core.registry, "custody", custody)
    monkeypatch.setattr(purge.core.registry, "decide", never)
    await ingest.send(Event(grant.photo_id, "R", 2_000_000))
    logged = await purge.core.endings.settle(grant.photo_id, [ingest.name], "delivered")
    assert [(c.holder, c.state, c.seconds) for c in logged.receipt.custody] == [("ingest", "released", 2.0)]
    await eventually(lambda: 2 in [getattr(c, "sequence", 0) for c in ingest.commands])
    await eventually(lambda: not admin.keys("owner:*"))
    assert written == []


async def test_a_crash_before_the_log_leaves_exactly_the_receipt_that_was_signed(
    valkey: ValkeyServer, tmp_path: Path, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> list[Logged]:
        await asyncio.Event().wait()
        return []

    async with desk(valkey.url, tmp_path / "log") as first:
        grant = await first.grant()
        monkeypatch.setattr(first.core.ledger, "record_all", never)
        settling = asyncio.create_task(first.core.endings.settle(grant.photo_id, [], "delivered"))
        await eventually(lambda: admin.exists(keys.of_photo(grant.photo_id).receipt))
        signed = kept(admin, grant.photo_id)
        assert (signed.index, signed.registry) == (UNLOGGED, first.core.registry.home)
        assert not admin.exists(keys.of_photo(grant.photo_id).lease)
        assert not settling.done()
        assert first.receipts() == {}
        settling.cancel()
    async with desk(valkey.url, tmp_path / "log") as second:
        assert (await second.receipt_of(grant.photo_id)) == signed.receipt
        assert signed.receipt.outcome == "settled"
        await second.conserved()
        assert (await second.core.endings.settle(grant.photo_id, [], "delivered")).envelope == signed.envelope


async def test_a_crash_before_the_log_and_a_start_after_the_expiry(
    valkey: ValkeyServer, tmp_path: Path, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> list[Logged]:
        await asyncio.Event().wait()
        return []

    async with desk(valkey.url, tmp_path / "log") as first:
        grant = await first.grant(ttl=1.0)
        monkeypatch.setattr(first.core.ledger, "record_all", never)
        settling = asyncio.create_task(first.core.endings.settle(grant.photo_id, [], "delivered"))
        await eventually(lambda: admin.exists(keys.of_photo(grant.photo_id).receipt))
        settling.cancel()
    signed = kept(admin, grant.photo_id)
    clock = Late(3.0)
    async with desk(valkey.url, tmp_path / "log", clock=clock) as second:
        assert (await second.receipt_of(grant.photo_id)) == signed.receipt


async def test_an_end_whose_answer_was_lost_is_not_receipted_twice(
    purge: Desk, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = purge.core.registry.end_if_released

    async def lose_answer(*args: Any) -> Reply:
        await original(*args)
        raise Unavailable("REGISTRY_UNAVAILABLE", "The answer was lost.")

    again, alone = await purge.grant(), await purge.grant(ttl=1.0)
    monkeypatch.setattr(purge.core.registry, "end_if_released", lose_answer)
    for grant in (again, alone):
        with pytest.raises(Unavailable):
            await purge.core.endings.settle(grant.photo_id, [], "delivered")
    monkeypatch.undo()
    signed = {grant.photo_id: kept(admin, grant.photo_id) for grant in (again, alone)}
    logged = await purge.core.endings.settle(again.photo_id, [], "delivered")
    assert logged.envelope == signed[again.photo_id].envelope
    assert (await purge.receipt_of(alone.photo_id)) == signed[alone.photo_id].receipt, "by the reaper"
    await purge.conserved()


async def test_a_holder_that_only_the_registry_knows_is_waited_for(purge: Desk) -> None:
    render = await Holder(purge.core, "render").connect()
    grant = await purge.grant()
    await purge.core.registry.custody([Report(grant.photo_id, render.name, "H", 1)])
    settling = asyncio.create_task(purge.core.endings.settle(grant.photo_id, [], "delivered"))
    await eventually(lambda: purge.metric("mayfly_leases", state="ending"))
    assert not settling.done()
    await render.release(grant.photo_id, 3_000_000)
    assert [(c.holder, c.state) for c in (await settling).receipt.custody] == [("render", "released")]


async def test_who_takes_the_photo_while_it_ends_must_drop_it(purge: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    render = await Holder(purge.core, "render").connect()
    grant = await purge.grant()
    original = purge.core.registry.end_if_released

    async def too_late(*args: Any) -> Reply:
        await render.send(Event(grant.photo_id, "H"))
        return await original(*args)

    monkeypatch.setattr(purge.core.registry, "end_if_released", too_late)
    logged = await purge.core.endings.settle(grant.photo_id, [], "delivered")
    assert logged.receipt.custody == ()
    await render.told_to_drop(grant.photo_id)
    assert purge.metric("mayfly_custody_overdue", service="render") == 1
    assert purge.metric("mayfly_custody_held", service="render") == 0
    await render.report(Event(grant.photo_id, "C"))
    assert purge.metric("mayfly_custody_overdue", service="render") == 0


async def test_the_first_decision_stands_although_it_is_only_in_memory(purge: Desk) -> None:
    ingest = await Holder(purge.core).connect()
    grant = await purge.grant()
    await ingest.hold(grant.photo_id)
    settling = asyncio.create_task(purge.core.endings.settle(grant.photo_id, [], "delivered"))
    await eventually(lambda: purge.core.endings.is_ending(grant.photo_id))
    revoking = asyncio.create_task(purge.core.endings.revoke(grant.photo_id, "requested"))
    await ingest.release(grant.photo_id)
    assert (await settling).receipt.outcome == "settled"
    with pytest.raises(NotFound):
        await revoking
    assert len(purge.receipts()) == 1


async def test_a_lease_that_expires_while_it_is_settled_is_settled(purge: Desk) -> None:
    ingest = await Holder(purge.core).connect()
    grant = await purge.grant(ttl=1.0)
    await ingest.hold(grant.photo_id)
    settling = asyncio.create_task(purge.core.endings.settle(grant.photo_id, [], "delivered"))
    record = purge.core.registry.read
    await eventually(lambda: ended(record, grant.photo_id), within=3)
    await ingest.release(grant.photo_id)
    assert (await settling).receipt.outcome == "settled"
    assert len(purge.receipts()) == 1


async def test_a_lease_with_another_home_leaves_without_a_receipt(purge: Desk, admin: Any) -> None:
    settled, revoked = await purge.grant(), await purge.grant()
    for grant in (settled, revoked):
        admin.hset(keys.of_photo(grant.photo_id).lease, "home", "purge-7")
    with pytest.raises(Moved):
        await purge.core.endings.settle(settled.photo_id, [], "delivered")
    with pytest.raises(Moved):
        await purge.core.endings.revoke(revoked.photo_id, "requested")
    assert len(purge.core.book) == 0
    assert purge.metric("mayfly_leases", state="granted") == 0
    assert purge.receipts() == {}
    assert all(admin.exists(keys.of_photo(grant.photo_id).lease) for grant in (settled, revoked))


async def test_the_receipt_is_there_at_once(purge: Desk, admin: Any) -> None:
    grant = await purge.grant()
    settling = asyncio.create_task(purge.core.endings.settle(grant.photo_id, [], "delivered"))
    await eventually(lambda: admin.exists(keys.of_photo(grant.photo_id).receipt), every=0)
    logged = await purge.core.endings.receipt(grant.photo_id)
    assert logged == await settling
    assert await purge.core.endings.receipt(grant.photo_id) == logged, "with its index"
    assert b"inclusion_proof" in await purge.core.ledger.bundle(logged, wait=True)


async def test_what_was_written_meanwhile_is_acknowledged_in_one_message(
    valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custody, "ACKNOWLEDGE_WITHIN", 60.0)
    async with desk(valkey.url, tmp_path / "log") as purge:
        ingest = await Holder(purge.core).connect()
        grant = await purge.grant()
        await ingest.hold(grant.photo_id)
        await ingest.release(grant.photo_id)
        assert ingest.commands == [Acknowledge(0, "purge-0")], "the hello's, which somebody waits for"
    await eventually(lambda: ingest.commands[1:] == [Acknowledge(2)])


async def test_acknowledgements_come_by_themselves(purge: Desk) -> None:
    ingest = await Holder(purge.core).connect()
    grant = await purge.grant()
    for sequence, event in enumerate((Event(grant.photo_id, "H"), Event(grant.photo_id, "R", 1)), 1):
        await ingest.report(event)
        await eventually(lambda sequence=sequence: Acknowledge(sequence) in ingest.commands)  # type: ignore[misc]


async def ended(read: Any, photo_id: str) -> bool:
    record = await read(photo_id)
    return record is not None and record.lease.end is not None


class Late:
    """The system's clock, some seconds ahead."""

    def __init__(self, ahead: float) -> None:
        import time

        self._time = time
        self._ahead = ahead

    def wall(self) -> float:
        return self._time.time() + self._ahead

    def monotonic(self) -> float:
        return self._time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
