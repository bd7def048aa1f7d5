"""One replica leads, and adopts what nobody asks for."""

from __future__ import annotations

import asyncio

import pytest

from mesh.testing.wait import eventually
from services.purge.registry import Moved, Registry
from tests.unit.services.purge.replicas.mesh import Mesh, at


async def test_the_leader_adopts_what_nobody_asks_for(mesh: Mesh) -> None:
    # More than there are shards, so that the soonest of each shard aren't all.
    grants = await asyncio.gather(*[mesh.running["a"].grant(ttl=ttl) for ttl in (2.0, *[60.0] * 300)])
    await mesh.kill("a")
    book = at(mesh, "b").book
    assert (await mesh.receipt_in("b", grants[0].photo_id)).outcome == "expired"
    await eventually(lambda: all(book.get(grant.photo_id) for grant in grants[1:]), within=8)
    mesh.conserved()


async def test_an_earlier_leader_is_refused(registry: Registry, mesh: Mesh) -> None:
    grant = await mesh.running["a"].grant()
    old = at(mesh, "a").leadership.term
    assert at(mesh, "a").leadership.leads
    assert not at(mesh, "b").leadership.leads
    await mesh.stop("a")
    await eventually(lambda: at(mesh, "b").leadership.leads, within=3)
    assert at(mesh, "b").leadership.term > old
    await eventually(lambda: at(mesh, "b").book.get(grant.photo_id), within=8)
    with pytest.raises(Moved):
        await registry.adopt(grant.photo_id, "b", old)
    assert mesh.running["b"].metric("mayfly_reaper_leader") == 1


async def test_a_leader_that_cannot_renew_steps_down_by_its_own_clock(mesh: Mesh) -> None:
    leader = at(mesh, "a").leadership
    await leader._tasks.cancel()
    await eventually(lambda: not leader.leads, within=4)
    await eventually(lambda: at(mesh, "b").leadership.leads, within=4)
