"""How leases end while the registry is away, paused or flushed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mesh.errors import NotFound, Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import keys
from services.purge.custody import Event
from services.purge.receipt import Custody
from tests.unit.services.purge.desk import Desk, Holder, desk
from tests.unit.services.purge.ending.remains import remains
from tests.unit.services.purge.world import admin_of, keys_without_ttl


async def test_valkey_killed_refuses_grants_and_receipts_come_on_time(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with desk(own_valkey.url, tmp_path / "log") as purge:
        ingest = await Holder(purge.core).connect()
        grant = await purge.grant(ttl=1.0)
        await ingest.hold(grant.photo_id)
        own_valkey.kill()
        with pytest.raises(Unavailable) as caught:
            await purge.grant()
        assert caught.value.reason == "REGISTRY_UNAVAILABLE"
        with pytest.raises(Unavailable):
            await purge.core.endings.settle(grant.photo_id, [], "delivered")
        await ingest.told_to_drop(grant.photo_id)
        await ingest.send(Event(grant.photo_id, "R", 700_000))
        receipt = await purge.receipt_of(grant.photo_id)
        assert (receipt.outcome, receipt.reason) == ("expired", "registry_lost")
        assert receipt.custody == (Custody("ingest", "released", 0.7),)
        own_valkey.start()
        await eventually(lambda: purge.core.attestation.safe)
        stored = await eventually(lambda: admin_of(own_valkey).get(keys.of_photo(grant.photo_id).receipt))
        assert stored
        await purge.grant()
        await eventually(lambda: ingest.sequence in [getattr(c, "sequence", 0) for c in ingest.commands])
        await purge.conserved()


async def test_a_paused_registry_does_not_hold_receipts_up(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with desk(own_valkey.url, tmp_path / "log") as purge:
        grant = await purge.grant(ttl=1.0)
        own_valkey.pause()
        receipt = await purge.receipt_of(grant.photo_id)
        assert (receipt.outcome, receipt.reason) == ("expired", "registry_lost")
        own_valkey.resume()
        await eventually(lambda: remains(admin_of(own_valkey), grant.photo_id) == [])
        assert len(purge.receipts()) == 1


async def test_a_flushed_registry_ends_leases_as_they_are_noticed(purge: Desk, admin: Any) -> None:
    ingest = await Holder(purge.core).connect()
    noticed, settled = await purge.grant(), await purge.grant()
    admin.flushall()
    await ingest.send(Event(noticed.photo_id, "H"))
    await ingest.told_to_drop(noticed.photo_id)
    await ingest.report(Event(noticed.photo_id, "R", 1))
    assert (await purge.receipt_of(noticed.photo_id)).reason == "registry_lost"
    with pytest.raises(NotFound):
        await purge.core.endings.settle(settled.photo_id, [], "delivered")
    assert (await purge.receipt_of(settled.photo_id)).reason == "registry_lost"
    await purge.conserved()


async def test_a_lease_that_the_registry_did_not_take_ends_at_once(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with desk(own_valkey.url, tmp_path / "log") as purge:
        admin_of(own_valkey).execute_command("ACL", "SETUSER", "purge", "-zadd")
        with pytest.raises(Unavailable):
            await purge.grant()
        await eventually(purge.receipts)
        [receipt] = purge.receipts().values()
        assert (receipt.outcome, receipt.reason) == ("revoked", "registry_lost")
        await eventually(lambda: remains(admin_of(own_valkey), receipt.photo_id) == [])
        assert keys_without_ttl(admin_of(own_valkey)) == []
        await purge.conserved()


async def test_a_grant_whose_caller_left_is_ended(purge: Desk) -> None:
    for number in range(5):
        size, task = purge.log.size, asyncio.create_task(purge.grant())
        await eventually(lambda size=size: purge.log.size > size, every=0)  # type: ignore[misc]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda count=number + 1: len(purge.receipts()) == count)  # type: ignore[misc]
    assert {r.reason for r in purge.receipts().values()} == {"peer_lost"}
    await purge.conserved()
