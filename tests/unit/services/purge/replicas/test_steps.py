"""A replica that sleeps or dies between two of its steps, at the worst moment: no second receipt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mesh.errors import NotFound
from mesh.testing.wait import eventually
from services.purge import keys
from services.purge.custody import Event
from services.purge.ledger import Logged
from services.purge.registry import Moved
from tests.unit.services.purge.desk import Holder
from tests.unit.services.purge.replicas.mesh import Mesh, at, settle, settled


async def test_a_replica_that_slept_writes_no_second_receipt(mesh: Mesh) -> None:
    """It wakes up in the middle of an end, which another replica has finished meanwhile."""
    ingest = await Holder(at(mesh, "a"), epoch="0" * 16).connect()
    await Holder(at(mesh, "b"), epoch="0" * 16).connect()
    grants = [await mesh.running["a"].grant() for _ in range(3)]
    await ingest.hold(grants[0].photo_id)
    sleeper = at(mesh, "a")
    ending = asyncio.create_task(sleeper.endings.revoke(grants[0].photo_id, "requested"))
    await eventually(lambda: sleeper.book.get(grants[0].photo_id).lease.state == "ending")
    await sleeper.presence._tasks.cancel()
    await eventually(lambda: at(mesh, "b").presence.dead(["a"]))
    for grant in grants[:2]:
        assert await at(mesh, "b").routing.elsewhere(grant.photo_id) is None
    assert (await settled(at(mesh, "b"), grants[1])).outcome == "settled"
    # Awake again: it still believes that all three are its own.
    await ingest.report(Event(grants[0].photo_id, "R", 1))
    with pytest.raises(Moved):
        await ending
    with pytest.raises((Moved, NotFound)):
        await sleeper.endings.settle(grants[1].photo_id, [], "delivered")
    assert (await settle(sleeper, grants[2])).outcome == "settled", "this one is"
    await sleeper.presence.start()
    assert mesh.receipts("a").keys() == {grants[2].photo_id}
    mesh.conserved()


async def test_an_adoption_whose_answer_was_lost_is_noticed(mesh: Mesh) -> None:
    asked, unasked = [await mesh.running["a"].grant(ttl=ttl) for ttl in (30.0, 2.0)]
    await mesh.kill("a")
    for grant in (asked, unasked):
        assert await at(mesh, "b").registry.adopt(grant.photo_id, "a", at(mesh, "b").leadership.term)
        assert at(mesh, "b").book.get(grant.photo_id) is None
    assert (await settle(at(mesh, "b"), asked)).outcome == "settled"
    assert (await mesh.receipt_in("b", unasked.photo_id)).outcome == "expired"
    mesh.conserved()


async def test_a_grant_that_arrives_after_the_end_of_its_lease_changes_nothing(mesh: Mesh, admin: Any) -> None:
    grant = await mesh.running["a"].grant()
    await settle(at(mesh, "a"), grant)
    reply, _ = await at(mesh, "a").registry.grant(grant, "2026-11-23")
    assert reply == "EXISTS"
    assert not admin.exists(keys.of_photo(grant.photo_id).lease)


class Held:
    """Makes a replica sleep right before one of its steps: as SIGSTOP does, at the worst moment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, part: Any, step: str) -> None:
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        original = getattr(part, step)

        async def held(*args: Any, **named: Any) -> Any:
            self.reached.set()
            await self.go.wait()
            return await original(*args, **named)

        monkeypatch.setattr(part, step, held)


async def test_asleep_between_its_look_and_its_receipt(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was sure a moment ago that the lease is its own, and has signed the receipt."""
    grant = await mesh.running["a"].grant()
    sleeper = at(mesh, "a")
    asleep = Held(monkeypatch, sleeper.registry, "commit")
    ending = asyncio.create_task(sleeper.endings.revoke(grant.photo_id, "requested"))
    await asleep.reached.wait()
    await sleeper.presence._tasks.cancel()
    await eventually(lambda: at(mesh, "b").presence.dead(["a"]))
    assert await at(mesh, "b").routing.elsewhere(grant.photo_id) is None
    asleep.go.set()
    with pytest.raises(Moved):
        await ending
    receipt = await mesh.receipt_in("b", grant.photo_id)
    assert (receipt.outcome, receipt.reason) == ("revoked", "requested"), "what the sleeper had decided"
    assert mesh.receipts("a") == {}
    mesh.conserved()


async def test_dead_between_its_commit_and_its_log(mesh: Mesh, monkeypatch: pytest.MonkeyPatch, admin: Any) -> None:
    """The receipt is in the registry alone. Nobody else ends the lease; whoever comes back logs exactly that one."""
    grant = await mesh.running["a"].grant()
    asleep = Held(monkeypatch, at(mesh, "a").ledger, "record_all")
    ending = asyncio.create_task(at(mesh, "a").endings.revoke(grant.photo_id, "requested"))
    await asleep.reached.wait()
    stored = admin.get(keys.of_photo(grant.photo_id).receipt)
    ending.cancel()
    await mesh.kill("a")
    monkeypatch.undo()
    await eventually(lambda: at(mesh, "b").presence.dead(["a"]))
    with pytest.raises(NotFound):
        await at(mesh, "b").routing.at_home(grant.photo_id, lambda: at(mesh, "b").endings.revoke(grant.photo_id, "x"))
    await mesh.start("a")
    assert mesh.receipts("a")[grant.photo_id] == Logged.from_bytes(stored).receipt
    assert mesh.receipts("b") == {}
    mesh.conserved()
