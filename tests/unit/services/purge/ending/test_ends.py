"""How leases end, with a real Valkey and a real log: settle, revoke, expire, and what holders say of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from mesh.errors import Exhausted, Invalid, NotFound, Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import ending, keys
from services.purge.custody import Event
from services.purge.grants import Terms
from services.purge.parked import Claimant
from services.purge.receipt import Custody
from tests.unit.services.purge.desk import OWNER, Desk, Holder, desk
from tests.unit.services.purge.ending.remains import remains
from tests.unit.services.purge.world import SECRET, keys_without_ttl


async def test_settle_waits_for_every_holder_and_hands_over_the_receipt(purge: Desk, admin: Any) -> None:
    gateway, ingest = await Holder(purge.core, "gateway").connect(), await Holder(purge.core).connect()
    grant = await purge.grant(nonce_commitment=b"n" * 32, policy_version="2026-11")
    await gateway.hold(grant.photo_id)
    await ingest.hold(grant.photo_id)
    await ingest.release(grant.photo_id, 2_250_000)
    settling = asyncio.create_task(purge.core.endings.settle(grant.photo_id, [gateway.name, ingest.name], "delivered"))
    await eventually(lambda: purge.core.endings.is_ending(grant.photo_id))
    assert admin.hget(keys.of_photo(grant.photo_id).lease, "state") == b"active", "nothing is decided but in memory"
    assert not settling.done()
    await gateway.release(grant.photo_id, 3_000_000)
    receipt = (await settling).receipt
    assert (receipt.outcome, receipt.reason) == ("settled", "delivered")
    assert set(receipt.custody) == {Custody("gateway", "released", 3.0), Custody("ingest", "released", 2.25)}
    assert receipt.nonce_commitment == (b"n" * 32).hex()
    assert receipt.policy_version == "2026-11"
    assert receipt.lockdown == dict.fromkeys(("gateway", "ingest"), ("no_core_dumps", "no_swap"))
    assert receipt.processors == ("onnx",)
    assert remains(admin, grant.photo_id) == []
    assert keys_without_ttl(admin) == []
    assert (await purge.core.endings.receipt(grant.photo_id)).receipt == receipt
    assert (await purge.core.endings.settle(grant.photo_id, [], "delivered")).receipt == receipt, "asked again"
    await purge.conserved()


async def test_settle_is_honest_about_holders_that_did_not_release(purge: Desk) -> None:
    ingest = await Holder(purge.core).connect()
    grant = await purge.grant()
    await ingest.hold(grant.photo_id)
    began = time.monotonic()
    logged = await purge.core.endings.settle(grant.photo_id, [ingest.name, "render/render-0/" + "0" * 16], "delivered")
    assert time.monotonic() - began > 1.9, "they have their time"
    assert logged.receipt.outcome == "settled", "and no more: the lease would have expired"
    assert {(c.holder, c.state) for c in logged.receipt.custody} == {("ingest", "unconfirmed"), ("render", "unknown")}
    await ingest.told_to_drop(grant.photo_id)
    assert purge.metric("mayfly_custody_overdue", service="ingest") == 1
    await ingest.report(Event(grant.photo_id, "C"))
    assert purge.metric("mayfly_custody_overdue", service="ingest") == 0


async def test_revoke_answers_when_the_holders_have_confirmed(purge: Desk, admin: Any) -> None:
    ingest, render = await Holder(purge.core).connect(), await Holder(purge.core, "render").connect()
    grant = await purge.grant()
    await ingest.hold(grant.photo_id)
    revoking = asyncio.create_task(purge.core.endings.revoke(grant.photo_id, "refused"))
    assert (await ingest.told_to_drop(grant.photo_id)).expire == grant.expire
    await render.told_to_drop(grant.photo_id)
    assert not revoking.done(), "the holder has not confirmed"
    await ingest.report(Event(grant.photo_id, "R", 10_000), Event(grant.photo_id, "C"))
    logged = await revoking
    assert logged is not None
    assert (logged.receipt.outcome, logged.receipt.reason) == ("revoked", "refused")
    assert logged.receipt.custody == (Custody("ingest", "released", 0.01),)
    assert remains(admin, grant.photo_id) == []
    with pytest.raises(NotFound):
        await purge.core.endings.revoke(grant.photo_id, "refused")
    with pytest.raises(NotFound):
        await purge.core.endings.settle(grant.photo_id, [], "delivered")


async def test_an_unconfirmed_revocation_is_answered_without_a_receipt_and_ends_when_confirmed(purge: Desk) -> None:
    ingest = await Holder(purge.core).connect()
    grant = await purge.grant()
    await ingest.hold(grant.photo_id)
    assert await purge.core.endings.revoke(grant.photo_id, "requested") is None
    assert purge.metric("mayfly_revocations_unconfirmed") == 1
    assert purge.metric("mayfly_leases", state="ending") == 1
    await ingest.report(Event(grant.photo_id, "C"))
    receipt = await purge.receipt_of(grant.photo_id)
    assert receipt.custody[0].state == "released"
    await eventually(lambda: purge.metric("mayfly_revocations_unconfirmed") == 0)


async def test_a_lease_nobody_ends_expires_on_time_with_custody_unconfirmed(purge: Desk, admin: Any) -> None:
    ingest = await Holder(purge.core).connect()
    grant = await purge.grant(ttl=1.0)
    await ingest.hold(grant.photo_id)
    ingest.disconnect()
    await asyncio.sleep(0)
    assert purge.core.book.get(grant.photo_id) is not None, "a broken stream is not a death"
    await eventually(lambda: admin.hget(keys.of_photo(grant.photo_id).lease, "state") == b"ending", within=3)
    decided = int(admin.hget(keys.of_photo(grant.photo_id).lease, "ended")) / 1000
    assert decided >= grant.expire
    receipt = await purge.receipt_of(grant.photo_id)
    assert (receipt.outcome, receipt.reason, receipt.custody[0].state) == ("expired", "overdue", "unconfirmed")
    await eventually(lambda: remains(admin, grant.photo_id) == [])


async def test_expiry_with_confirming_holders_takes_no_longer_than_they_do(
    purge: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "EXPIRE_WITHIN", 60.0)  # whoever waits for anything else waits for long
    ingest = await Holder(purge.core).connect()
    grant = await purge.grant(ttl=1.0)
    await ingest.hold(grant.photo_id)
    await ingest.told_to_drop(grant.photo_id)
    await ingest.release(grant.photo_id, 990_000)
    receipt = await purge.receipt_of(grant.photo_id)
    assert receipt.custody == (Custody("ingest", "released", 0.99),)


async def test_everybody_at_once_makes_one_receipt(purge: Desk) -> None:
    grants = [await purge.grant() for _ in range(10)]
    ends = [
        end(grant.photo_id)
        for grant in grants
        for end in (
            lambda p: purge.core.endings.settle(p, [], "delivered"),
            lambda p: purge.core.endings.revoke(p, "requested"),
            lambda p: purge.core.endings.settle(p, [], "collected"),
        )
    ]
    for grant in grants[::3]:
        purge.core.endings.expire(grant.photo_id)
    await asyncio.gather(*ends, return_exceptions=True)
    assert purge.receipts().keys() == {g.photo_id for g in grants}
    await purge.conserved()


async def test_revoking_an_owner_revokes_all_of_its_leases_and_nobody_elses(purge: Desk) -> None:
    mine = [await purge.grant() for _ in range(3)]
    other = await purge.grant(owner_digest=b"x" * 32)
    held = mine[0]
    ingest = await Holder(purge.core).connect()
    await ingest.hold(held.photo_id)
    ended = await purge.core.revoke_owner(OWNER)
    assert ended.here.keys() == {g.photo_id for g in mine}
    assert [p for p, bundle in ended.here.items() if bundle is None] == [held.photo_id]
    assert purge.core.book.get(other.photo_id) is not None
    stranger = await purge.core.pseudonyms.possible(b"y" * 32)
    with pytest.raises(NotFound):
        await purge.core.endings.revoke(other.photo_id, "requested", stranger)


async def test_a_dead_process_is_lost_at_once_and_named_in_the_receipt(purge: Desk) -> None:
    ingest = await Holder(purge.core).connect()
    grant = await purge.grant()
    await ingest.hold(grant.photo_id)
    settling = asyncio.create_task(purge.core.endings.settle(grant.photo_id, [ingest.name], "delivered"))
    reborn = await Holder(purge.core).connect()
    receipt = (await settling).receipt
    assert [(c.holder, c.state) for c in receipt.custody] == [("ingest", "lost")]
    assert purge.metric("mayfly_custody_lost_total", service="ingest") == 1
    assert purge.metric("mayfly_custody_held", service="ingest") == 0
    with pytest.raises(Invalid):
        await ingest.connect()
    await reborn.hold((await purge.grant()).photo_id)


async def test_another_instance_is_not_a_death(purge: Desk) -> None:
    ingest = await Holder(purge.core).connect()
    grant = await purge.grant()
    await ingest.hold(grant.photo_id)
    await Holder(purge.core, instance="ingest-1").connect()
    assert purge.metric("mayfly_custody_held", service="ingest") == 1


async def test_what_is_sent_twice_counts_once(purge: Desk, admin: Any) -> None:
    ingest = await Holder(purge.core).connect()
    grant = await purge.grant()
    await ingest.report(Event(grant.photo_id, "H"), Event(grant.photo_id, "R", 1_000_000))
    await ingest.report(Event(grant.photo_id, "H"))
    ingest.disconnect()
    await ingest.connect([grant.photo_id])
    await ingest.send(Event(grant.photo_id, "H"), Event(grant.photo_id, "R", 1_000_000), sequence=1)
    await ingest.send(Event(grant.photo_id, "H"), sequence=2)
    await ingest.report(Event(grant.photo_id, "R", 500_000))
    record = await purge.core.registry.read(grant.photo_id)
    assert record is not None
    assert record.lease.custody[ingest.name].micros == 1_500_000
    assert purge.core.book.get(grant.photo_id).lease == record.lease  # type: ignore[union-attr]


async def test_a_late_hold_is_told_to_drop(purge: Desk) -> None:
    render = await Holder(purge.core, "render").connect()
    grant = await purge.grant()
    await purge.core.endings.revoke(grant.photo_id, "requested")
    render.commands.clear()
    await render.send(Event(grant.photo_id, "H"))
    await render.told_to_drop(grant.photo_id)
    assert purge.metric("mayfly_custody_overdue", service="render") == 1
    await render.report(Event(grant.photo_id, "R", 5), Event(grant.photo_id, "C"))
    assert purge.metric("mayfly_custody_overdue", service="render") == 0
    stranger = "a" * 32
    await render.send(Event(stranger, "H"))
    await render.told_to_drop(stranger)


async def test_a_hello_with_photos_that_have_ended_is_told_to_drop_them(purge: Desk) -> None:
    grant, live = await purge.grant(), await purge.grant()
    await purge.core.endings.revoke(grant.photo_id, "requested")
    render = await Holder(purge.core, "render").connect([grant.photo_id, live.photo_id, "b" * 32])
    await render.told_to_drop(grant.photo_id)
    await render.told_to_drop("b" * 32)
    await render.report()
    record = await purge.core.registry.read(live.photo_id)
    assert record is not None
    assert record.lease.holders == {render.name}


async def test_a_grant_is_durable_before_it_is_answered(purge: Desk, admin: Any) -> None:
    before = purge.log.size
    grant = await purge.grant()
    assert purge.log.size == before + 1
    assert grant.photo_id.encode() in purge.log.entry(before)
    assert admin.exists(keys.of_photo(grant.photo_id).lease)
    assert keys_without_ttl(admin) == []


@pytest.mark.parametrize("ttl", [0.5, 301, float("nan"), -1])
async def test_a_ttl_outside_its_bounds_is_refused(purge: Desk, ttl: float) -> None:
    with pytest.raises(Invalid) as caught:
        await purge.grant(ttl=ttl)
    assert caught.value.field == "ttl"
    assert purge.log.size == 0


async def test_the_daily_quota(valkey: ValkeyServer, tmp_path: Path) -> None:
    async with desk(valkey.url, tmp_path / "log", terms=Terms(daily_quota=3)) as purge:
        replies = await asyncio.gather(*[purge.grant() for _ in range(5)], return_exceptions=True)
        assert sum(isinstance(r, Exhausted) for r in replies) == 2
        await purge.grant(owner_digest=b"x" * 32)


async def test_a_parked_picture_is_claimed_once_and_settled(purge: Desk, admin: Any) -> None:
    gateway = await Holder(purge.core, "gateway").connect()
    grant = await purge.grant()
    await gateway.hold(grant.photo_id)
    owners = await purge.core.pseudonyms.possible(OWNER)
    me = Claimant(SECRET, "me", owners)
    with pytest.raises(Unavailable) as early:
        await purge.core.parking.claim(grant.photo_id, me)
    assert early.value.reason == "NOT_PARKED_YET"
    berth = await purge.core.parking.begin(grant.photo_id, [gateway.name])
    for segment in (b"one" * 100_000, b"two"):
        await berth.add(segment)
    await berth.seal(2)
    await gateway.release(grant.photo_id)
    assert purge.metric("mayfly_parked_pictures") == 1
    assert purge.metric("mayfly_parked_bytes") == 300_003
    assert keys_without_ttl(admin) == []
    claims = [purge.core.parking.claim(grant.photo_id, Claimant(SECRET, f"{n}", owners)) for n in range(50)]
    replies = await asyncio.gather(*claims, return_exceptions=True)
    [(winner, claimed)] = [(f"{n}", r) for n, r in enumerate(replies) if not isinstance(r, BaseException)]
    assert {type(r) for r in replies if isinstance(r, BaseException)} == {NotFound}
    assert [s async for s in purge.core.parking.segments(grant.photo_id, claimed)] == [
        b"one" * 100_000,
        b"two",
    ]
    with pytest.raises(NotFound):
        await purge.core.parking.return_claim(grant.photo_id, b"wrong", winner)
    await purge.core.parking.return_claim(grant.photo_id, SECRET, winner)
    await purge.core.parking.claim(grant.photo_id, me)
    logged = await purge.core.endings.settle(grant.photo_id, [gateway.name], "collected")
    assert logged.receipt.reason == "collected"
    assert remains(admin, grant.photo_id) == []
    assert purge.metric("mayfly_parked_bytes") == 0
    with pytest.raises(NotFound):
        await purge.core.parking.claim(grant.photo_id, me)


async def test_a_revoked_picture_is_gone_at_once_in_the_middle_of_a_claim(purge: Desk) -> None:
    gateway = await Holder(purge.core, "gateway").connect()
    grant = await purge.grant()
    berth = await purge.core.parking.begin(grant.photo_id, [])
    await berth.add(b"one")
    await berth.add(b"two")
    await berth.seal(2)
    me = Claimant(SECRET, "me", await purge.core.pseudonyms.possible(OWNER))
    handout = await purge.core.parking.claim(grant.photo_id, me)
    await gateway.hold(grant.photo_id)
    segments = purge.core.parking.segments(grant.photo_id, handout)
    assert await anext(segments) == b"one"
    revoking = asyncio.create_task(purge.core.endings.revoke(grant.photo_id, "requested"))
    await gateway.told_to_drop(grant.photo_id)
    with pytest.raises(NotFound):
        await anext(segments)
    await gateway.report(Event(grant.photo_id, "C"))
    assert await revoking is not None


async def test_the_bundle_carries_its_proof_once_the_log_has_integrated_it(purge: Desk) -> None:
    grant = await purge.grant()
    logged = await purge.core.endings.revoke(grant.photo_id, "refused")
    assert logged is not None
    bundle = await purge.core.ledger.bundle(logged, wait=True)
    assert b"inclusion_proof" in bundle
    with pytest.raises(NotFound):
        await purge.core.endings.receipt("0" * 32)


async def test_an_admin_can_see_that_nothing_but_receipts_and_counters_remain(purge: Desk, admin: Any) -> None:
    for _ in range(5):
        await purge.core.endings.revoke((await purge.grant()).photo_id, "refused")
    kinds = {key.split(b":")[0] for key in admin.scan_iter(count=1000)}
    alive = {b"replica", b"leader", b"term", b"marker"}
    assert kinds == {b"receipt", b"quota", b"pseudonym-key"} | alive
