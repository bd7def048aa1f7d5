"""The big red button, over a real Valkey and a real log: everything ends, and what can't be moved stays visible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mesh.errors import Invalid, Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import operator
from services.purge.custody import Event
from services.purge.operator import Progress
from tests.unit.services.purge.desk import Desk, Holder, desk
from tests.unit.services.purge.world import keys_without_ttl


@pytest.fixture
async def purge(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(valkey.url, tmp_path) as running:
        yield running


class Watcher:
    """Presses the button, and keeps what it says."""

    def __init__(self, purge: Desk) -> None:
        self.seen: list[Progress] = []
        self.task = asyncio.create_task(self._watch(purge))

    async def _watch(self, purge: Desk) -> None:
        async for progress in purge.core.operator.purge_all():
            self.seen.append(progress)

    async def says(self, **wanted: Any) -> None:
        def said() -> bool:
            return bool(self.seen) and all(getattr(self.seen[-1], name) == value for name, value in wanted.items())

        await eventually(said)

    async def summary(self) -> Progress:
        await asyncio.wait_for(self.task, 10)
        assert [progress.done for progress in self.seen].count(True) == 1
        return self.seen[-1]


async def test_everything_ends_once_each_holder_has_confirmed(purge: Desk, admin: Any) -> None:
    ingest, render = await Holder(purge.core).connect(), await Holder(purge.core, "render").connect()
    grants = [await purge.grant(owner_digest=bytes([n]) * 32) for n in range(20)]
    held, both = grants[0].photo_id, grants[1].photo_id
    for holder, photo_id in ((ingest, held), (ingest, both), (render, both)):
        await holder.hold(photo_id)
    watcher = Watcher(purge)
    await watcher.says(total=20, ended=18, waiting={"ingest": 2, "render": 1})
    await ingest.told_to_drop(held)
    await ingest.report(Event(held, "C"), Event(both, "C"))
    await watcher.says(ended=19, waiting={"render": 1})
    await render.told_to_drop(both)
    await render.report(Event(both, "C"))
    assert await watcher.summary() == Progress(20, 20, waiting={}, done=True)
    assert {r.reason for r in purge.receipts().values()} == {"operator"}
    assert {r.outcome for r in purge.receipts().values()} == {"revoked"}
    assert len(purge.receipts()) == 20
    assert keys_without_ttl(admin) == []
    assert purge.metric("mayfly_operator_purges_total") == 1
    await purge.conserved()


async def test_a_dead_holder_is_not_waited_for(purge: Desk) -> None:
    render = await Holder(purge.core, "render").connect()
    grant = await purge.grant()
    await render.hold(grant.photo_id)
    watcher = Watcher(purge)
    await watcher.says(waiting={"render": 1})
    await Holder(purge.core, "render").connect()
    assert (await watcher.summary()).irrevocable == 0
    assert [c.state for c in purge.receipts()[grant.photo_id].custody] == ["lost"]


async def test_a_holder_that_never_says_a_word_leaves_an_irrevocable_lease(purge: Desk) -> None:
    render = await Holder(purge.core, "render").connect()
    stuck, dying = await purge.grant(ttl=1.0), await purge.grant(ttl=1.0)
    ingest = await Holder(purge.core).connect()
    await render.hold(stuck.photo_id)
    await ingest.hold(dying.photo_id)
    watcher = Watcher(purge)
    summary = await watcher.summary()
    assert (summary.total, summary.ended, summary.irrevocable) == (2, 2, 2)
    assert [c.state for c in purge.receipts()[stuck.photo_id].custody] == ["unconfirmed"]
    found = {each.photo_id: each for each in purge.core.operator.irrevocable()}
    assert found[stuck.photo_id].holder == render.name
    assert found[stuck.photo_id].since == pytest.approx(stuck.expire + 1)
    assert purge.metric("mayfly_leases_irrevocable", service="render") == 1
    assert purge.metric("mayfly_custody_overdue", service="render") == 1
    await render.report(Event(stuck.photo_id, "C"))
    assert purge.metric("mayfly_leases_irrevocable", service="render") == 0
    await Holder(purge.core).connect()
    assert purge.core.operator.irrevocable() == []


async def test_what_is_late_before_the_leases_end_is_not_irrevocable_yet(purge: Desk) -> None:
    ingest = await Holder(purge.core).connect()
    grant = await purge.grant()
    await purge.core.endings.revoke(grant.photo_id, "refused")
    await ingest.send(Event(grant.photo_id, "H"))
    await eventually(lambda: purge.metric("mayfly_custody_overdue", service="ingest") == 1)
    assert purge.core.operator.irrevocable() == []


async def test_a_holder_that_comes_back_with_an_ended_lease_is_seen(purge: Desk) -> None:
    grant = await purge.grant(ttl=1.0)
    await purge.core.endings.revoke(grant.photo_id, "refused")
    ingest = await Holder(purge.core).connect(held=[grant.photo_id])
    assert purge.metric("mayfly_custody_overdue", service="ingest") == 1
    await eventually(purge.core.operator.irrevocable)
    await ingest.told_to_drop(grant.photo_id)
    await ingest.report(Event(grant.photo_id, "C"))
    assert purge.core.operator.irrevocable() == []


async def test_it_goes_on_when_nobody_watches(purge: Desk) -> None:
    ingest = await Holder(purge.core).connect()
    grants = [await purge.grant() for _ in range(3)]
    await ingest.hold(grants[0].photo_id)
    watcher = Watcher(purge)
    await watcher.says(ended=2)
    watcher.task.cancel()
    await ingest.told_to_drop(grants[0].photo_id)
    await ingest.report(Event(grants[0].photo_id, "C"))
    assert (await purge.receipt_of(grants[0].photo_id)).reason == "operator"


async def test_leases_under_way_when_it_is_pressed_are_among_them(purge: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_go = asyncio.Event(), asyncio.Event()
    admit = purge.core.ledger.admit

    async def slowly(*args: Any) -> None:
        begun.set()
        await may_go.wait()
        await admit(*args)

    monkeypatch.setattr(purge.core.ledger, "admit", slowly)
    granting = asyncio.create_task(purge.grant())
    await begun.wait()
    watcher = Watcher(purge)
    await asyncio.sleep(0)
    may_go.set()
    grant = await granting
    assert (await watcher.summary()).total == 1
    assert purge.receipts()[grant.photo_id].reason == "operator"


async def test_with_the_registry_away_holders_are_told_and_receipts_follow_at_the_end(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    async with desk(own_valkey.url, tmp_path) as purge:
        ingest = await Holder(purge.core).connect()
        grants = [await purge.grant(ttl=3.0) for _ in range(5)]
        await ingest.hold(grants[0].photo_id)
        own_valkey.kill()
        watcher = Watcher(purge)
        await asyncio.gather(*(ingest.told_to_drop(grant.photo_id) for grant in grants))
        await ingest.send(Event(grants[0].photo_id, "C"))
        summary = await watcher.summary()
        assert (summary.ended, summary.irrevocable) == (5, 0)
        receipts = purge.receipts()
        assert {receipts[g.photo_id].reason for g in grants} == {"registry_lost"}
        assert [c.state for c in receipts[grants[0].photo_id].custody] == ["released"]


async def test_a_registry_that_hangs_keeps_no_holder_from_letting_go(
    purge: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = await Holder(purge.core).connect()
    grants = [await purge.grant() for _ in range(5)]
    decide, asked = purge.core.registry.decide, 0

    async def away(*_: object) -> None:
        nonlocal asked
        asked += 1
        raise Unavailable("REGISTRY_UNAVAILABLE", "Away.")

    monkeypatch.setattr(operator, "_WORKERS", 1)
    monkeypatch.setattr(operator, "_AGAIN", 0.05)
    monkeypatch.setattr(type(purge.core.endings), "registry_up", False)
    monkeypatch.setattr(purge.core.registry, "decide", away)
    watcher = Watcher(purge)
    await asyncio.gather(*(ingest.told_to_drop(grant.photo_id) for grant in grants))
    assert asked < len(grants), "all are told before the last of them is tried"
    monkeypatch.setattr(purge.core.registry, "decide", decide)
    assert (await watcher.summary()).ended == 5
    assert {r.reason for r in purge.receipts().values()} == {"operator"}


async def test_no_photo_comes_in_during_a_pause(purge: Desk) -> None:
    assert purge.core.operator.pause(600) is not None
    with pytest.raises(Unavailable) as refused:
        await purge.grant()
    assert (refused.value.reason, refused.value.retry_after) == ("OPERATOR_PAUSED", 60.0)
    assert purge.core.operator.pause(0) is None
    assert purge.core.operator.open_leases == 0
    await purge.grant()
    assert purge.core.operator.open_leases == 1
    for wrong in (-1, 3601):
        with pytest.raises(Invalid):
            purge.core.operator.pause(wrong)
