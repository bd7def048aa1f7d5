"""Pictures that are parked: their segments, and who may claim them."""

from __future__ import annotations

import asyncio

import pytest

from services.purge.lease import End, Outcome
from services.purge.registry import Claimed, Registry, Reply
from tests.unit.services.purge.registry.facts import DAY, DIGEST, ME, NOW, OWNER, parked_by
from tests.unit.services.purge.world import a_grant


async def test_fifty_claims_at_once_have_one_winner_who_alone_may_come_again(registry: Registry) -> None:
    id_ = await parked_by(registry, [b"a", b"b"])
    claimants = [f"{n:032x}" for n in range(50)]
    replies = await asyncio.gather(*[registry.claim(id_, NOW, DIGEST, c, [OWNER]) for c in claimants])
    [winner] = [c for c, r in zip(claimants, replies, strict=True) if r == Claimed(NOW + 60, 2)]
    assert replies.count(Reply.GONE) == 49
    again = await asyncio.gather(*[registry.claim(id_, NOW, DIGEST, c, [OWNER]) for c in claimants])
    assert [c for c, r in zip(claimants, again, strict=True) if r == Claimed(NOW + 60, 2, again=True)] == [winner]
    assert again.count(Reply.GONE) == 49


async def test_only_a_claim_that_was_not_repeated_is_given_back(registry: Registry) -> None:
    id_, other = await parked_by(registry, [b"a", b"b"]), "f" * 32
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
    id_ = await parked_by(registry, [b"a"])
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
    id_ = await parked_by(registry, [b"a"])
    first = await registry.decide(id_, Outcome.REVOKED, "requested", NOW + 1)
    second = await registry.decide(id_, Outcome.SETTLED, "delivered", NOW + 2)
    assert first is not None
    assert second is not None
    assert first.lease.end == second.lease.end == End(Outcome.REVOKED, "requested", NOW + 1)
    assert await registry.segment(id_, 0) is None
    assert await registry.claim(id_, NOW, DIGEST, ME, [OWNER]) is Reply.GONE
    assert await registry.park_begin(id_, NOW, []) is Reply.GONE
    assert await registry.decide("f" * 32, Outcome.REVOKED, "requested", NOW) is None
