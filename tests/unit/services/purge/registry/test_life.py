"""Each transition as the real server makes it; after each step every key has a TTL."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from mesh.testing.wait import eventually
from services.purge import keys
from services.purge.lease import Lease, Outcome, State
from services.purge.registry import GRACE, Registry, Reply, Report
from tests.unit.services.purge.registry.facts import DAY, DIGEST, ME, NOW, OWNER, H
from tests.unit.services.purge.world import a_grant, keys_without_ttl


async def test_a_whole_life_and_no_key_without_a_ttl_at_any_step(registry: Registry, admin: Any) -> None:
    grant = a_grant(now=NOW, ttl=60)
    id_ = grant.photo_id
    steps = [
        lambda: registry.day_key("2026-11-23", 100, secrets.token_bytes(32)),
        lambda: registry.grant(grant, DAY),
        lambda: registry.custody([Report(id_, H, "H", 64)]),
        lambda: registry.custody([Report(id_, H, "R", 65, 1500)]),
        lambda: registry.park_begin(id_, NOW, [H]),
        lambda: registry.park_segment(id_, NOW, 0, 100, b"one"),
        lambda: registry.park_segment(id_, NOW, 1, 100, b"two"),
        lambda: registry.park_seal(id_, NOW, 2),
        lambda: registry.claim(id_, NOW, DIGEST, ME, [OWNER]),
        lambda: registry.return_claim(id_, NOW, DIGEST, ME),
        lambda: registry.claim(id_, NOW, DIGEST, ME, [OWNER]),
        lambda: registry.decide(id_, Outcome.SETTLED, "collected", NOW + 1),
        lambda: registry.finish(id_, b"receipt", OWNER),
    ]
    for number, step in enumerate(steps):
        reply = await step()
        assert reply not in (Reply.GONE, Reply.STATE, None) or number == len(steps) - 1, number
        assert keys_without_ttl(admin) == [], number
        assert all(keys.is_ours(key) for key in admin.scan_iter()), number
    assert sorted(key.split(b":")[0] for key in admin.scan_iter()) == [b"pseudonym-key", b"quota", b"receipt"]
    assert await registry.receipt(id_) == b"receipt"
    assert 3590_000 < admin.pttl(keys.of_photo(id_).receipt) <= 3600_000


async def test_every_key_of_a_lease_goes_with_it(registry: Registry, admin: Any) -> None:
    short, long = a_grant(ttl=10), a_grant(ttl=60)
    for grant in (short, long):
        await registry.grant(grant, DAY)
        await registry.park_begin(grant.photo_id, NOW, [])
        await registry.park_segment(grant.photo_id, NOW, 0, 100, b"c")
        k = keys.of_photo(grant.photo_id)
        most = (grant.expire - grant.granted + GRACE) * 1000
        for key in (k.lease, k.parked, k.due):
            assert most - 1000 < admin.pttl(key) <= most
    assert admin.pttl(keys.owner(OWNER)) > 60_000, "the owner's set rolls with the longest lease"


async def test_due_keeps_the_longest_lease_of_its_shard(registry: Registry, admin: Any) -> None:
    long, short = a_grant(ttl=60), a_grant(ttl=5)
    short = type(short)(long.photo_id[:2] + short.photo_id[2:], *[getattr(short, f) for f in list(short.__slots__)[1:]])
    await registry.grant(long, DAY)
    await registry.grant(short, DAY)
    assert admin.pttl(keys.of_photo(long.photo_id).due) > 60_000


async def test_a_photo_id_is_granted_once(registry: Registry) -> None:
    grant = a_grant()
    assert (await registry.grant(grant, DAY))[0] is Reply.OK
    assert (await registry.grant(grant, DAY))[0] is Reply.EXISTS


async def test_the_record_comes_back_whole(registry: Registry) -> None:
    grant = a_grant()
    await registry.grant(grant, DAY)
    await registry.custody([Report(grant.photo_id, H, "H", 1), Report(grant.photo_id, H, "R", 2, 70)])
    await registry.park_begin(grant.photo_id, NOW, ["render/r/x"])
    record = await registry.read(grant.photo_id)
    assert record is not None
    assert record.grant == grant
    assert record.lease == Lease(State.ACTIVE).expect(["render/r/x"]).hold(H, 1).release(H, 2, 70)
    assert await registry.read("f" * 32) is None


async def test_overdue_leases_are_found_in_every_shard(registry: Registry) -> None:
    grants = [a_grant(ttl=10 + n % 2 * 100) for n in range(40)]
    for grant in grants:
        await registry.grant(grant, DAY)
    late = {g.photo_id for g in grants if g.expire <= NOW + 11}
    assert set(await registry.overdue(NOW + 11, 100)) == late


async def test_the_quota_counts_every_lease_of_an_owner(registry: Registry) -> None:
    granted = await asyncio.gather(*[registry.grant(a_grant(), DAY) for _ in range(20)])
    assert sorted(count for _, count in granted) == list(range(1, 21))
    assert (await registry.grant(a_grant(), "2026-11-24"))[1] == 1


async def test_an_owner_finds_its_leases_until_they_have_expired(registry: Registry, admin: Any) -> None:
    early, late = a_grant(ttl=5), a_grant(ttl=60)
    for grant in (early, late):
        await registry.grant(grant, DAY)
    assert await registry.owned(OWNER) == {early.photo_id, late.photo_id}
    later = a_grant(now=NOW + 6)
    await registry.grant(later, DAY)
    assert await registry.owned(OWNER) == {late.photo_id, later.photo_id}
    await registry.disown({OWNER: [late.photo_id]})
    assert await registry.owned(OWNER) == {later.photo_id}


async def test_a_lease_that_nobody_holds_ends_in_one_step(registry: Registry, admin: Any) -> None:
    grant = a_grant()
    id_ = grant.photo_id
    await registry.grant(grant, DAY)
    held = [Report(id_, H, "H", 1)]
    assert await registry.end_if_released(id_, b"r", held) is Reply.HELD
    record = await registry.read(id_)
    assert record is not None and record.lease.holders == {H}
    assert await registry.end_if_released(id_, b"receipt", [Report(id_, H, "R", 2, 7)]) is Reply.OK
    assert await registry.read(id_) is None and await registry.receipt(id_) == b"receipt"
    assert keys_without_ttl(admin) == []
    assert await registry.end_if_released(id_, b"other") is Reply.GONE
    assert await registry.receipt(id_) == b"receipt"


async def test_an_end_that_is_decided_is_not_overtaken(registry: Registry) -> None:
    grant = a_grant()
    await registry.grant(grant, DAY)
    await registry.decide(grant.photo_id, Outcome.REVOKED, "requested", NOW)
    assert await registry.end_if_released(grant.photo_id, b"receipt") is Reply.ENDED
    assert await registry.receipt(grant.photo_id) is None


async def test_reports_that_come_with_a_decision_are_in_its_record(registry: Registry) -> None:
    grant = a_grant()
    await registry.grant(grant, DAY)
    record = await registry.decide(grant.photo_id, Outcome.EXPIRED, "overdue", NOW, [Report(grant.photo_id, H, "H", 3)])
    assert record is not None and record.lease.demands == {H}


async def test_the_days_key_is_made_once(registry: Registry) -> None:
    made = await asyncio.gather(*[registry.day_key("2026-11-23", 100, secrets.token_bytes(32)) for _ in range(10)])
    assert len(set(made)) == 1
    assert await registry.day_key("2026-11-22", 100, None) is None


def test_keys_of_other_shapes_are_not_ours() -> None:
    k = keys.of_photo("ab" * 16)
    day = "2026-11-23"
    for key in [
        *k,
        keys.due(255),
        keys.owner(OWNER),
        keys.quota(OWNER, day),
        keys.pseudonym_key(day),
        keys.marker(7),
        keys.replica("purge-0"),
        keys.LEADER,
        keys.TERM,
    ]:
        assert keys.is_ours(key.encode()), key
    for key in ["lease:x", "photo:1", "lease:{00}:" + "g" * 32, k.lease + "x", "owner:Bob", ""]:
        assert not keys.is_ours(key.encode()), key


async def test_without_anybody_to_delete_them_a_leases_keys_are_gone_within_two_seconds(
    registry: Registry, admin: Any
) -> None:
    grant = a_grant(now=NOW, ttl=0.2)
    id_ = grant.photo_id
    await registry.grant(grant, DAY)
    await registry.custody([Report(id_, H, "H", 64)])
    await registry.park_begin(id_, NOW, [H])
    await registry.park_segment(id_, NOW, 0, 100, b"one")
    await registry.park_seal(id_, NOW, 1)
    await registry.decide(id_, Outcome.REVOKED, "requested", NOW)
    assert all(admin.pttl(key) <= 2000 for key in admin.scan_iter() if not key.startswith(b"quota:"))
    await eventually(lambda: [k.split(b":")[0] for k in admin.scan_iter()] == [b"quota"])
