"""Which replica keeps a lease, and which one leads."""

from __future__ import annotations

from typing import Any

import pytest

from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge.address import RedisAddress
from services.purge.lease import Outcome
from services.purge.link import Link
from services.purge.registry import Leadership, Moved, Registry, Reply, Report
from tests.unit.services.purge.registry.facts import DAY, NOW, OWNER, H
from tests.unit.services.purge.world import a_grant, keys_without_ttl


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
