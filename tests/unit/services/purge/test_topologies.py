"""Sentinel and Cluster, really run: the primary dies, freezes or is cut off, and leases are granted again without a
restart of purge. What was lost meanwhile is noticed before the registry counts as safe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mesh.clock import SystemClock
from mesh.errors import Unavailable
from mesh.testing.cluster import SLOTS, Cluster
from mesh.testing.sentinels import Sentinels
from mesh.testing.wait import eventually
from services.purge import keys
from services.purge.address import RedisAddress
from services.purge.attest import Attestation
from services.purge.link import Link
from services.purge.registry import Registry, Reply
from tests.unit.services.purge.redises import USERS, VALKEY
from tests.unit.services.purge.world import a_grant

SOON = 20.0  # seconds: generous, for a busy machine; the aim is 5
DAY = "2026-11-23"
SENTINEL_PASSWORD = "of-the-sentinels"


@asynccontextmanager
async def registry_at(url: str, sentinel_password: str | None = None) -> AsyncIterator[Registry]:
    registry = Registry(Link(RedisAddress(url, sentinel_password=sentinel_password)))
    await registry.start()
    yield registry
    await registry.link.close()


async def grants(registry: Registry, shards: range = range(0, 256, 16)) -> bool:
    """Whether a lease of each of some shards, over all servers, can be granted."""
    some = [a_grant() for _ in shards]
    for grant, shard in zip(some, shards, strict=True):
        object.__setattr__(grant, "photo_id", f"{shard:02x}{grant.photo_id[2:]}")
    try:
        replies = await asyncio.gather(*[registry.grant(grant, DAY) for grant in some])
    except Unavailable:
        return False
    assert {reply for reply, _ in replies} == {Reply.OK}
    return True


@asynccontextmanager
async def attesting(link: Link) -> AsyncIterator[tuple[Attestation, list[bool]]]:
    """A running attestation, and whether it called itself safe at each reconciliation."""
    attestation, said = Attestation(link, SystemClock(), quarantine=300), []

    async def reconcile() -> None:
        said.append(attestation.safe)

    attestation.on_changed.append(reconcile)
    await attestation.start()
    yield attestation, said
    await attestation.stop()


async def is_back(registry: Registry, attestation: Attestation, changed: list[bool]) -> None:
    """Grants flow, and only after the change was reconciled."""
    await eventually(lambda: grants(registry), within=SOON, every=0.05)
    await eventually(lambda: changed, within=SOON, every=0.05)
    await eventually(lambda: attestation.safe, within=SOON, every=0.05)
    assert not any(changed), "it was not safe while it was reconciled"


@pytest.mark.parametrize("harm", ["kill", "pause", "cut"])
async def test_behind_sentinel_another_primary_takes_over(harm: str) -> None:
    with Sentinels(USERS, VALKEY, password=SENTINEL_PASSWORD) as redis:
        async with (
            registry_at(redis.url, SENTINEL_PASSWORD) as registry,
            attesting(registry.link) as (attestation, changed),
        ):
            assert await grants(registry)
            attestation.require_safe()
            old = redis.primary()
            {"kill": old.kill, "pause": old.pause, "cut": redis.proxies[0].cut}[harm]()
            await is_back(registry, attestation, changed)
            assert redis.primary() is not old
            {"kill": old.start, "pause": old.resume, "cut": redis.proxies[0].heal}[harm]()
            # The old primary becomes a replica, and nothing is written to it meanwhile.
            await eventually(lambda: old.ask("ROLE")[0] == b"slave", within=SOON, every=0.05)
            assert await grants(registry)
            await eventually(lambda: attestation.safe, within=SOON, every=0.05)


async def test_a_wrong_password_for_the_sentinels_is_no_way_in() -> None:
    with Sentinels(USERS, VALKEY, password=SENTINEL_PASSWORD) as redis:
        registry = Registry(Link(RedisAddress(redis.url, sentinel_password="another")))
        with pytest.raises(Unavailable):
            await registry.start()
        await registry.link.close()


@pytest.fixture(scope="module")
def cluster() -> Any:
    with Cluster(USERS, VALKEY) as cluster:
        yield cluster


async def test_a_cluster_has_every_transition(cluster: Cluster) -> None:
    async with registry_at(cluster.url) as registry:
        some = [a_grant() for _ in range(60)]
        await asyncio.gather(*[registry.grant(grant, DAY) for grant in some])
        assert all(server.ask("DBSIZE") > 0 for server in cluster.servers), "all of them have leases"
        assert set(await registry.overdue(float("inf"), 100)) >= {grant.photo_id for grant in some}
        records = await asyncio.gather(*[registry.read(grant.photo_id) for grant in some])
        assert [record and record.grant.photo_id for record in records] == [grant.photo_id for grant in some]
        for grant in some:
            await registry.finish(grant.photo_id, b"receipt", grant.owner)
        assert await registry.overdue(float("inf"), 100) == []
        assert registry.link.round_trips < registry.link.calls / 2


async def test_a_slot_that_moves_takes_its_calls_along(cluster: Cluster) -> None:
    """CLUSTER SETSLOT, key by key, as resharding does it: MOVED and ASK are followed, nothing is lost."""
    async with registry_at(cluster.url) as registry:
        grant = a_grant()
        await registry.grant(grant, DAY)
        key = keys.of_photo(grant.photo_id).lease
        slot = int(cluster.servers[0].ask("CLUSTER", "KEYSLOT", key))
        home = next(i for i, (first, last) in enumerate(SLOTS) if first <= slot <= last)
        old, new = cluster.servers[home], cluster.servers[(home + 1) % 3]
        ids = [server.ask("CLUSTER", "MYID").decode() for server in (old, new)]
        new.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        old.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        names = old.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        old.ask(
            "MIGRATE", "127.0.0.1", new.port, "", 0, 2000, "AUTH2", USERS.admin, USERS.admin_password, "KEYS", *names
        )
        assert await registry.read(grant.photo_id) is not None, "ASK"
        assert await registry.link.send(key, "HGET", key, "state") == b"granted", "ASK, in a batch"
        for server in (new, old):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
        replies = await asyncio.gather(*[registry.link.send(key, "HGET", key, "state") for _ in range(50)])
        assert replies == [b"granted"] * 50, "MOVED"
        assert (await registry.grant(grant, DAY))[0] is Reply.EXISTS


async def test_one_flushed_shard_is_noticed(cluster: Cluster) -> None:
    async with registry_at(cluster.url) as registry, attesting(registry.link) as (attestation, changed):
        attestation.require_safe()
        assert attestation.unseen == ()
        cluster.servers[1].flush()
        await is_back(registry, attestation, changed)
        assert len(changed) == 1


async def test_a_cluster_that_is_away_as_a_whole_is_unavailable_and_comes_back() -> None:
    with Cluster(USERS, VALKEY) as cluster:
        async with (
            registry_at(cluster.url) as registry,
            attesting(registry.link) as (attestation, changed),
        ):
            for server in cluster.servers:
                server.kill()
            await eventually(lambda: not attestation.safe, within=SOON, every=0.05)
            stranger = Registry(Link(RedisAddress(cluster.url)))
            for other in (registry, stranger):
                with pytest.raises(Unavailable):
                    await other.overdue(0, 1)
                with pytest.raises(Unavailable):
                    await other.grant(a_grant(), DAY)
            await stranger.link.close()
            for server in cluster.servers:
                server.start()
            await is_back(registry, attestation, changed)


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_a_replica_takes_over_its_primarys_slots(harm: str) -> None:
    with Cluster(USERS, VALKEY, replicas=True) as cluster:
        async with registry_at(cluster.url) as registry, attesting(registry.link) as (attestation, changed):
            assert await grants(registry)
            attestation.require_safe()
            primary = cluster.servers[1]
            hurt: dict[str, Callable[[], None]] = {"kill": primary.kill, "pause": primary.pause}
            hurt[harm]()
            await is_back(registry, attestation, changed)
            if harm == "pause":
                primary.resume()
                await eventually(lambda: primary.ask("ROLE")[0] == b"slave", within=SOON, every=0.05)
                assert await grants(registry)
