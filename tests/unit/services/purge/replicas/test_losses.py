"""Redis is lost, emptied or set back, with several replicas over it: each lease ends once, in all logs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from clients.verify import recount
from mesh.errors import Unavailable
from mesh.testing.wait import eventually
from services.purge import keys
from services.purge.record import Grant
from tests.unit.services.purge.replicas.mesh import Mesh, at, settle, settled


async def test_redis_is_lost_while_a_replica_is_dead(mesh: Mesh, admin: Any) -> None:
    """Its leases are known to its log alone; one of them another replica has ended, which only that one's log says."""
    adopted, orphan = [await mesh.running["a"].grant() for _ in range(2)]
    await mesh.kill("a")
    assert (await settled(at(mesh, "b"), adopted)).outcome == "settled"
    admin.flushall()
    await at(mesh, "b").registry.start()
    mesh.away = {"b"}
    await mesh.start("a")
    book = at(mesh, "a").book
    await eventually(lambda: mesh.running["a"].metric("mayfly_receipts_unlogged") == 2, within=3)
    assert book.get(adopted.photo_id) is not None, "nobody can tell"
    assert mesh.receipts("a") == {}
    mesh.away = set()
    receipt = await mesh.receipt_in("a", orphan.photo_id)
    assert (receipt.outcome, receipt.reason) == ("revoked", "registry_lost")
    await eventually(lambda: book.get(adopted.photo_id) is None)
    assert mesh.receipts("a").keys() == {orphan.photo_id}
    assert recount(mesh.entries()).open == []
    mesh.conserved()


@pytest.mark.parametrize("kept", [(), (b"replica", b"leader", b"term")], ids=["all", "one server of several"])
async def test_after_a_flush_every_open_lease_ends_and_new_ones_are_granted(
    mesh: Mesh, admin: Any, kept: tuple[bytes, ...]
) -> None:
    delivered = await mesh.running["a"].grant()
    receipt = await settle(at(mesh, "a"), delivered)
    grants = [await mesh.running["ab"[n % 2]].grant() for n in range(200)]
    admin.delete(*[key for key in admin.scan_iter(count=1000) if not key.startswith(kept or b"-")])
    assert (await at(mesh, "a").receipt(delivered.photo_id)).receipt == receipt, "from the log"
    await eventually(
        lambda: mesh.receipts("a").keys() | mesh.receipts("b").keys() == {g.photo_id for g in [*grants, delivered]},
        within=30,
        every=0.1,
    )
    assert {mesh.receipts("ab"[n % 2])[g.photo_id].reason for n, g in enumerate(grants)} == {"registry_lost"}

    async def granted() -> Grant | None:
        with contextlib.suppress(Unavailable):
            return await mesh.running["a"].grant()
        return None

    assert await eventually(granted, within=5)
    mesh.conserved()


async def test_a_failover_brings_back_an_ended_lease(mesh: Mesh, admin: Any) -> None:
    grant = await mesh.running["a"].grant()
    name = keys.of_photo(grant.photo_id).lease
    before = admin.hgetall(name)
    assert (await settle(at(mesh, "a"), grant)).outcome == "settled"
    admin.hset(name, mapping=before)
    admin.pexpire(name, 30_000)
    admin.delete(keys.of_photo(grant.photo_id).receipt)
    await at(mesh, "a").reconcile.after_change()
    assert not admin.exists(name)
    assert admin.exists(keys.of_photo(grant.photo_id).receipt)
    # Its home dies before it has seen it: who adopts the lease asks the home's log first.
    admin.hset(name, mapping=before)
    admin.pexpire(name, 30_000)
    admin.delete(keys.of_photo(grant.photo_id).receipt)
    await mesh.kill("a")
    await at(mesh, "b").reconcile.after_change()
    settling = asyncio.create_task(settled(at(mesh, "b"), grant, within=8))
    await eventually(lambda: not admin.exists(name), within=8)
    settling.cancel()
    assert mesh.receipts("b") == {}
    mesh.conserved()


async def test_what_was_moved_is_taken_back_when_nobody_knows_of_it(mesh: Mesh, admin: Any) -> None:
    grant = await mesh.running["a"].grant(ttl=1.0)
    sleeper = at(mesh, "a")
    admin.hset(keys.of_photo(grant.photo_id).lease, "home", "c")
    await sleeper.reconcile._missing(list(sleeper.book))
    assert (len(sleeper.debts), len(sleeper.book)) == (1, 0)
    admin.delete(keys.of_photo(grant.photo_id).lease)
    receipt = await mesh.receipt_in("a", grant.photo_id, within=20)
    assert (receipt.outcome, len(sleeper.debts)) == ("expired", 0)
    mesh.conserved()
