"""Each transition as the real server makes it; after each step every key has a TTL."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.errors import Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import keys
from services.purge.address import RedisAddress
from services.purge.lease import End, Lease, Outcome, State, WrongState
from services.purge.link import Link
from services.purge.registry import GRACE, Claimed, Leadership, Moved, Registry, Reply, Report
from services.purge.topology import MAX_CONNECTIONS
from tests.unit.services.purge.world import SECRET, a_grant, keys_without_ttl, sha256

NOW = 1_000_000.0
DIGEST = sha256(SECRET)
OWNER = "0" * 32
H = "ingest/ingest-0/aa"
ME, ANOTHER = "aa" * 16, "bb" * 16
DAY = "2026-11-23"


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(
    st.sampled_from(["H", "R", "L", "park", "claim", "return", "decide"]), st.sampled_from([H, "render/r/x"]),
    st.integers(1, 12), st.sampled_from(list(Outcome)),
), min_size=1, max_size=25))  # fmt: skip
def test_the_functions_and_the_state_machine_agree(shared_valkey: ValkeyServer, steps: list[Any]) -> None:
    asyncio.run(_agree(shared_valkey, steps))


async def _agree(server: ValkeyServer, steps: list[Any]) -> None:
    registry = Registry(Link(RedisAddress(server.url)))
    try:
        grant, model = a_grant(), Lease()
        await registry.grant(grant, DAY)
        for kind, holder, ordinal, outcome in steps:
            model = await _step(registry, grant.photo_id, model, kind, holder, ordinal, outcome)
            record = await registry.read(grant.photo_id)
            assert record is not None
            assert record.lease == model
    finally:
        await registry.link.close()


async def _step(
    registry: Registry, id_: str, model: Lease, kind: str, holder: str, ordinal: int, outcome: Outcome
) -> Lease:
    if kind in "HRL":
        [state] = (await registry.custody([Report(id_, holder, kind, ordinal, 5)])).values()
        released = model.release(holder, ordinal, 5)
        after = {"H": model.hold(holder, ordinal), "R": released, "L": model.lose(holder)}[kind]
        assert state == after.state
        return after
    if kind == "decide":
        await registry.decide(id_, outcome, "test", NOW)
        return model.decide(End(outcome, "test", NOW))
    try:
        after = {
            "park": model.park,
            "claim": lambda: model.claim(ME),
            "return": lambda: model.return_claim(ME),
        }[kind]()
    except WrongState:
        after = model
    if kind == "park":
        won = await registry.park_begin(id_, NOW, []) is Reply.OK and await registry.park_seal(id_, NOW, 0) is Reply.OK
    elif kind == "claim":
        won = isinstance(await registry.claim(id_, NOW, DIGEST, ME, [OWNER]), Claimed)
    else:
        won = await registry.return_claim(id_, NOW, DIGEST, ME) is Reply.OK
    assert won == (after is not model or (kind == "claim" and model.state is State.CLAIMED))
    return after


async def _parked(registry: Registry, segments: list[bytes]) -> str:
    grant = a_grant()
    await registry.grant(grant, DAY)
    await registry.park_begin(grant.photo_id, NOW, [])
    for index, segment in enumerate(segments):
        assert await registry.park_segment(grant.photo_id, NOW, index, 1 << 20, segment) is Reply.OK
    assert await registry.park_seal(grant.photo_id, NOW, len(segments)) is Reply.OK
    return grant.photo_id


async def test_fifty_claims_at_once_have_one_winner_who_alone_may_come_again(registry: Registry) -> None:
    id_ = await _parked(registry, [b"a", b"b"])
    claimants = [f"{n:032x}" for n in range(50)]
    replies = await asyncio.gather(*[registry.claim(id_, NOW, DIGEST, c, [OWNER]) for c in claimants])
    [winner] = [c for c, r in zip(claimants, replies, strict=True) if r == Claimed(NOW + 60, 2)]
    assert replies.count(Reply.GONE) == 49
    again = await asyncio.gather(*[registry.claim(id_, NOW, DIGEST, c, [OWNER]) for c in claimants])
    assert [c for c, r in zip(claimants, again, strict=True) if r == Claimed(NOW + 60, 2, again=True)] == [winner]
    assert again.count(Reply.GONE) == 49


async def test_only_a_claim_that_was_not_repeated_is_given_back(registry: Registry) -> None:
    id_, other = await _parked(registry, [b"a", b"b"]), "f" * 32
    await registry.claim(id_, NOW, DIGEST, ME, [OWNER])
    assert await registry.return_claim(id_, NOW, DIGEST, other) is Reply.GONE
    assert await registry.return_claim(id_, NOW, DIGEST, ME) is Reply.OK
    assert await registry.claim(id_, NOW, DIGEST, other, [OWNER]) == Claimed(NOW + 60, 2)
    assert await registry.claim(id_, NOW, DIGEST, other, [OWNER]) == Claimed(NOW + 60, 2, again=True)
    assert await registry.return_claim(id_, NOW, DIGEST, other) is Reply.GONE, "its first call knows not of its second"
    assert await registry.claim(id_, NOW, DIGEST, ME, [OWNER]) is Reply.GONE


@pytest.mark.parametrize(
    ("digest", "owners", "now"),
    [("f" * 64, [OWNER], NOW), (DIGEST, ["1" * 32], NOW), (DIGEST, [], NOW), (DIGEST, [OWNER], NOW + 60)],
    ids=["wrong secret", "another owner", "nobody", "overdue"],
)
async def test_a_wrong_claim_finds_nothing(registry: Registry, digest: str, owners: list[str], now: float) -> None:
    id_ = await _parked(registry, [b"a"])
    assert await registry.claim(id_, now, digest, ME, owners) is Reply.GONE
    assert isinstance(await registry.claim(id_, NOW, DIGEST, ME, ["1" * 32, OWNER]), Claimed)


async def test_a_claim_before_the_picture_is_told_to_wait_only_if_it_is_the_owners(registry: Registry) -> None:
    grant = a_grant()
    await registry.grant(grant, DAY)
    assert await registry.claim(grant.photo_id, NOW, DIGEST, ME, [OWNER]) is Reply.WAIT
    assert await registry.claim(grant.photo_id, NOW, "f" * 64, ME, [OWNER]) is Reply.GONE
    assert await registry.claim(grant.photo_id, NOW, DIGEST, ME, ["1" * 32]) is Reply.GONE


async def test_segments_come_in_order_and_within_the_limit(registry: Registry) -> None:
    grant = a_grant()
    id_ = grant.photo_id
    await registry.grant(grant, DAY)
    await registry.park_begin(id_, NOW, [])
    assert await registry.park_segment(id_, NOW, 1, 10, b"x") is Reply.STATE
    assert await registry.park_segment(id_, NOW, 0, 10, b"123456") is Reply.OK
    assert await registry.park_segment(id_, NOW, 1, 10, b"12345") is Reply.SIZE
    assert await registry.park_seal(id_, NOW, 2) is Reply.COUNT
    assert await registry.park_begin(id_, NOW, []) is Reply.OK, "a second attempt begins anew"
    assert await registry.park_segment(id_, NOW, 0, 10, b"new") is Reply.OK
    assert await registry.park_seal(id_, NOW, 1) is Reply.OK
    assert await registry.segment(id_, 0) == b"new"
    assert await registry.park_segment(id_, NOW, 1, 10, b"x") is Reply.STATE


async def test_deciding_takes_the_picture_away_and_stands(registry: Registry) -> None:
    id_ = await _parked(registry, [b"a"])
    first = await registry.decide(id_, Outcome.REVOKED, "requested", NOW + 1)
    second = await registry.decide(id_, Outcome.SETTLED, "delivered", NOW + 2)
    assert first is not None
    assert second is not None
    assert first.lease.end == second.lease.end == End(Outcome.REVOKED, "requested", NOW + 1)
    assert await registry.segment(id_, 0) is None
    assert await registry.claim(id_, NOW, DIGEST, ME, [OWNER]) is Reply.GONE
    assert await registry.park_begin(id_, NOW, []) is Reply.GONE
    assert await registry.decide("f" * 32, Outcome.REVOKED, "requested", NOW) is None


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


async def test_only_its_home_ends_a_lease_until_a_leader_moves_it(valkey: ValkeyServer, registry: Registry) -> None:
    grant = a_grant()
    id_ = grant.photo_id
    other, third = (
        Registry(Link(RedisAddress(valkey.url)), "purge-1"),
        Registry(Link(RedisAddress(valkey.url)), "purge-2"),
    )
    await registry.grant(grant, DAY)
    for step in (
        lambda r: r.decide(id_, Outcome.EXPIRED, "overdue", NOW),
        lambda r: r.finish(id_, b"forged", OWNER),
    ):
        with pytest.raises(Moved):
            await step(other)
    assert await other.end_if_released(id_, b"forged") is Reply.MOVED
    assert await other.custody([Report(id_, H, "H", 1)]) == {id_: "MOVED"}
    adopted = await other.adopt(id_, "purge-0", 7)
    assert adopted is not None and adopted.home == "purge-1"
    with pytest.raises(Moved):
        await registry.decide(id_, Outcome.EXPIRED, "overdue", NOW)
    with pytest.raises(Moved):
        await third.adopt(id_, "purge-0", 8)
    with pytest.raises(Moved):
        await third.adopt(id_, "purge-1", 6)
    assert await third.adopt("f" * 32, "purge-1", 9) is None
    assert await other.end_if_released(id_, b"receipt") is Reply.OK
    for one in (other, third):
        await one.link.close()


async def test_one_leader_at_a_time_and_terms_that_only_grow(
    valkey: ValkeyServer, registry: Registry, admin: Any
) -> None:
    other = Registry(Link(RedisAddress(valkey.url)), "purge-1")
    first = await registry.campaign(NOW, 60)
    assert first == Leadership("purge-0", round(NOW * 1000))
    assert await other.campaign(NOW + 5, 60) == first
    await other.resign()
    assert await registry.campaign(NOW + 9, 60) == first
    await registry.resign()
    second = await other.campaign(NOW - 100, 60)
    assert second == Leadership("purge-1", first.term + 1), "also if its clock is behind"
    assert keys_without_ttl(admin) == []
    await other.link.close()


async def test_a_replica_learns_that_it_was_out_of_sight(valkey: ValkeyServer, registry: Registry) -> None:
    assert not await registry.is_alive("purge-0")
    assert not await registry.beat("aa", "127.0.0.1:1", 60)
    assert await registry.beat("aa", "127.0.0.1:1", 0.05)
    assert await registry.is_alive("purge-0")
    await eventually(lambda: _dead(registry))
    assert not await registry.beat("aa", "127.0.0.1:1", 60)
    assert not await registry.beat("bb", "127.0.0.1:1", 60), "another process has taken its place"


async def _dead(registry: Registry) -> bool:
    return not await registry.is_alive("purge-0")


async def test_the_days_key_is_made_once(registry: Registry) -> None:
    made = await asyncio.gather(*[registry.day_key("2026-11-23", 100, secrets.token_bytes(32)) for _ in range(10)])
    assert len(set(made)) == 1
    assert await registry.day_key("2026-11-22", 100, None) is None


async def test_a_server_that_forgot_its_functions_gets_them_again(registry: Registry, admin: Any) -> None:
    admin.function_flush()
    grant = a_grant()
    assert (await registry.grant(grant, DAY))[0] is Reply.OK
    admin.function_flush()
    assert await registry.read(grant.photo_id) is not None
    assert isinstance(await registry.claim(grant.photo_id, NOW, DIGEST, ME, [OWNER]), Reply)


async def test_a_library_that_was_changed_is_replaced(registry: Registry, admin: Any) -> None:
    other = "#!lua name=mayfly_2\nredis.register_function('mayfly_2_grant', function() return 'X' end)"
    admin.function_load(other, True)
    await registry.start()
    assert (await registry.grant(a_grant(), DAY))[0] is Reply.OK


async def test_killed_paused_and_back(own_valkey: ValkeyServer) -> None:
    registry = Registry(Link(RedisAddress(own_valkey.url)))
    await registry.start()
    own_valkey.kill()
    with pytest.raises(Unavailable) as caught:
        await registry.grant(a_grant(), DAY)
    assert (caught.value.reason, caught.value.retry_after, registry.link.up) == ("REGISTRY_UNAVAILABLE", 1, False)
    own_valkey.start()
    assert (await registry.grant(a_grant(), DAY))[0] is Reply.OK
    assert registry.link.up
    own_valkey.pause()
    with pytest.raises(Unavailable):
        await registry.read("0" * 32)
    own_valkey.resume()
    assert (await registry.grant(a_grant(), DAY))[0] is Reply.OK
    await registry.link.close()


async def test_a_cancelled_caller_leaves_its_operation_alone_and_its_reply_to_nobody(
    registry: Registry, admin: Any
) -> None:
    grants = [a_grant() for _ in range(20)]
    for grant in grants:
        await registry.grant(grant, DAY)
    connections = admin.info("stats")["total_connections_received"]
    for _ in range(20):
        tasks = [asyncio.create_task(registry.read(g.photo_id)) for g in grants]
        written = a_grant()
        tasks.append(asyncio.create_task(registry.grant(written, DAY)))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        for task in [*tasks[:20:2], tasks[20]]:
            task.cancel()
        for grant, task in list(zip(grants, tasks[:20], strict=True))[1::2]:
            record = await task
            assert record is not None
            assert record.grant.photo_id == grant.photo_id
        assert await eventually(lambda photo_id=written.photo_id: registry.read(photo_id))  # type: ignore[misc]
    assert admin.info("stats")["total_connections_received"] - connections <= MAX_CONNECTIONS, "none was torn down"


async def test_purges_user_can_do_nothing_else(valkey: ValkeyServer) -> None:
    link = Link(RedisAddress(valkey.url))
    for command in (["CONFIG", "SET", "save", "1 1"], ["FLUSHALL"], ["SAVE"], ["SET", "other", "x"], ["KEYS", "*"]):
        with pytest.raises(Unavailable):
            await link.run(lambda r, c=command: r.execute_command(*c))
    await link.close()


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
