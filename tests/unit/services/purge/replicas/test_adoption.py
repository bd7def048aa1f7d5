"""Another replica's leases: named while it lives, adopted once it is dead, handed over when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from clients.verify import recount
from mesh.errors import NotFound, Unavailable
from mesh.testing.wait import eventually
from services.purge import keys
from services.purge.custody import Event
from services.purge.record import Grant
from services.purge.registry import Report
from tests.unit.services.purge.desk import OWNER, Holder
from tests.unit.services.purge.replicas.mesh import Mesh, at, settle, settled, steady


async def test_another_replicas_lease_is_named_never_ended(mesh: Mesh) -> None:
    grant = await mesh.running["a"].grant()
    with pytest.raises(Unavailable) as caught:
        await settle(at(mesh, "b"), grant)
    assert (caught.value.reason, caught.value.registry) == ("LEASE_ELSEWHERE", "a")
    with pytest.raises(Unavailable) as caught:
        await at(mesh, "b").routing.require(grant.photo_id)
    assert caught.value.registry == "a"
    revoked = await at(mesh, "b").revoke_owner(OWNER)
    assert (revoked.here, revoked.elsewhere) == ({}, {grant.photo_id: "a"})
    assert (await settle(at(mesh, "a"), grant)).outcome == "settled"
    with pytest.raises(Unavailable) as caught:
        await at(mesh, "b").receipt(grant.photo_id)
    assert caught.value.registry == "a", "who can prove it"
    with pytest.raises(NotFound):
        await settle(at(mesh, "b"), Grant("0" * 32, 0, 0, "", "", "", ""))
    mesh.conserved()


@pytest.mark.parametrize("home", ["", "a"], ids=["holders that don't know the home", "that know it"])
async def test_a_dead_replicas_lease_is_adopted_by_whoever_is_asked(
    mesh: Mesh, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = at(mesh, "b").registry
    written: list[Report] = []
    custody = registry.custody

    async def note(reports: Sequence[Report], *disowned: Any) -> Any:
        written.extend(reports)
        return await custody(reports, *disowned)

    monkeypatch.setattr(registry, "custody", note)
    ingest = [await Holder(at(mesh, name), epoch="0" * 16).connect() for name in "ab"]
    grants = [await mesh.running["a"].grant() for _ in range(2)]
    for to in ingest:
        await to.report(*[Event(grant.photo_id, "H", home=home) for grant in grants])
    assert bool(written) is not bool(home), "asked only what nobody knows"
    # What a is not told any more, b is.
    await ingest[1].report(Event(grants[0].photo_id, "R", 2_500_000))
    await mesh.kill("a")
    receipt = await settled(at(mesh, "b"), grants[0], [ingest[1].name])
    assert [(c.holder, c.state, c.seconds) for c in receipt.custody] == [("ingest", "released", 2.5)]
    settling = asyncio.create_task(settled(at(mesh, "b"), grants[1], [ingest[1].name]))
    await eventually(lambda: at(mesh, "b").endings.is_ending(grants[1].photo_id))
    await ingest[1].report(Event(grants[1].photo_id, "R", 1_000_000))
    assert [(c.state, c.seconds) for c in (await settling).custody] == [("released", 1.0)]
    assert mesh.running["b"].metric("mayfly_leases_adopted_total") == 2
    mesh.conserved()
    await mesh.start("a")
    assert mesh.receipts("a") == {}
    assert mesh.running["a"].metric("mayfly_leases_moved_total") == 2
    assert recount(mesh.entries()).open == []
    mesh.conserved()


async def test_a_clean_stop_hands_over_at_once(mesh: Mesh, admin: Any) -> None:
    grant = await mesh.running["a"].grant()
    await steady(mesh, "b")
    await mesh.stop("a")
    assert not admin.exists(keys.replica("a"))
    assert (await settle(at(mesh, "b"), grant)).outcome == "settled"
    await mesh.start("a")
    assert at(mesh, "a").book.get(grant.photo_id) is None
    mesh.conserved()
