"""How leases end that a purge before this one had granted."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from mesh.errors import Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import keys
from services.purge.custody import Event
from services.purge.lease import Outcome
from tests.unit.services.purge.desk import Desk, Holder, desk
from tests.unit.services.purge.ending.remains import remains
from tests.unit.services.purge.world import a_grant, admin_of


async def test_a_restart_takes_live_leases_up_again(valkey: ValkeyServer, tmp_path: Path) -> None:
    async with desk(valkey.url, tmp_path / "log") as first:
        ingest = await Holder(first.core).connect()
        live, short = await first.grant(), await first.grant(ttl=1.0)
        await ingest.hold(live.photo_id)
    async with desk(valkey.url, tmp_path / "log") as second:
        entry = second.core.book.get(live.photo_id)
        assert entry is not None
        assert entry.grant == live
        assert entry.lease.holders == {ingest.name}
        await Holder(second.core).connect()  # the same place with another epoch: the old process is dead
        assert second.metric("mayfly_custody_lost_total", service="ingest") == 1
        logged = await second.core.endings.settle(live.photo_id, [ingest.name], "delivered")
        assert logged.receipt.custody[0].state == "lost"
        assert (await second.receipt_of(short.photo_id)).outcome == "expired"
        await second.conserved()


async def test_a_restart_after_the_registry_was_lost_ends_every_grant(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with desk(own_valkey.url, tmp_path / "log") as first:
        grants = [await first.grant() for _ in range(5)]
    admin_of(own_valkey).flushall()
    async with desk(own_valkey.url, tmp_path / "log") as second:
        await eventually(lambda: len(second.receipts()) == 5)
        for grant in grants:
            receipt = second.receipts()[grant.photo_id]
            assert (receipt.outcome, receipt.reason, receipt.admitted_time) == ("revoked", "registry_lost", None)
        await second.conserved()


async def test_a_restart_carries_out_a_decided_end(valkey: ValkeyServer, tmp_path: Path) -> None:
    async with desk(valkey.url, tmp_path / "log") as first:
        ingest = await Holder(first.core).connect()
        grant = await first.grant()
        await ingest.hold(grant.photo_id)
        task = asyncio.create_task(first.core.endings.revoke(grant.photo_id, "requested"))
        await ingest.told_to_drop(grant.photo_id)
        task.cancel()
    async with desk(valkey.url, tmp_path / "log") as second:
        again = Holder(second.core, epoch=ingest.epoch)
        await again.connect([grant.photo_id])
        await again.told_to_drop(grant.photo_id)
        again.sequence = 10
        await again.report(Event(grant.photo_id, "C"))
        receipt = await second.receipt_of(grant.photo_id)
        assert (receipt.outcome, receipt.reason, receipt.custody[0].state) == ("revoked", "requested", "released")
        assert receipt.custody[0].seconds >= 0.9 * (receipt.residency_seconds or 1), "since when, nobody knows"


async def test_a_crash_between_receipt_and_deletion_leaves_no_second_receipt(
    valkey: ValkeyServer, tmp_path: Path, admin: Any
) -> None:
    async with desk(valkey.url, tmp_path / "log") as first:
        grant = await first.grant()
        logged = await first.core.endings.revoke(grant.photo_id, "refused")
        assert logged is not None
        admin.delete(keys.of_photo(grant.photo_id).receipt)
        await first.core.registry.grant(grant, "2026-11-23")  # as if nothing had been deleted
        await first.core.registry.decide(grant.photo_id, Outcome.REVOKED, "refused", grant.granted)
    async with desk(valkey.url, tmp_path / "log") as second:
        assert remains(admin, grant.photo_id) == []
        assert (await second.core.endings.receipt(grant.photo_id)) == logged
        assert len(second.receipts()) == 1


async def test_a_restart_without_a_registry_ends_leases_when_they_are_due(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    async with desk(own_valkey.url, tmp_path / "log") as first:
        grant = await first.grant(ttl=1.0)
    own_valkey.kill()
    async with desk(own_valkey.url, tmp_path / "log") as second:
        with pytest.raises(Unavailable):
            await second.grant()
        receipt = await second.receipt_of(grant.photo_id)
        assert (receipt.outcome, receipt.reason) == ("expired", "registry_lost")


async def test_keys_of_leases_that_owe_no_receipt_are_swept(purge: Desk, admin: Any) -> None:
    stranger = a_grant(ttl=0.1, now=time.time())
    await purge.core.registry.grant(stranger, "2026-11-23")
    await eventually(lambda: remains(admin, stranger.photo_id) == [], within=3)
    assert purge.receipts() == {}
