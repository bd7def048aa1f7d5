"""Three primaries with a replica each: one of them dies, sleeps for longer than a lease, or loses what it had."""

from __future__ import annotations

import asyncio

import pytest

from mesh.testing.cluster import Cluster
from tests.chaos.crowd import TTL
from tests.chaos.deployments import ARGUMENTS, overrides, users
from tests.chaos.ordeal import Fault, endure


def killed(redis: Cluster) -> Fault:
    async def fault() -> None:
        redis.servers[1].kill()

    return fault


def asleep(redis: Cluster) -> Fault:
    async def fault() -> None:
        redis.servers[1].pause()
        await asyncio.sleep(TTL + 1)
        redis.servers[1].resume()

    return fault


@pytest.mark.parametrize("fault", [killed, asleep])
async def test_a_replica_takes_over(chaos_mesh, fault):
    with Cluster(users(), ARGUMENTS, replicas=True) as redis:
        mesh = chaos_mesh(overrides(redis.url))
        await endure(mesh, fault(redis), [*redis.servers, *redis.replicas], takes_over=True)


async def test_a_primary_that_lost_everything_ends_what_it_lost(chaos_mesh):
    with Cluster(users(), ARGUMENTS, replicas=True) as redis:
        mesh = chaos_mesh(overrides(redis.url))

        async def flushed() -> None:
            redis.servers[1].flush()

        await endure(mesh, flushed, [*redis.servers, *redis.replicas])
