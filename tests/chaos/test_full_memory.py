"""One server alone: it loses everything, or has no memory left."""

from __future__ import annotations

from mesh.testing.redis_server import RedisServer
from tests.chaos.deployments import ARGUMENTS, overrides, single_url, users
from tests.chaos.ordeal import endure


async def test_a_flush_ends_what_it_lost(chaos_mesh):
    with RedisServer(users(), ARGUMENTS) as redis:
        mesh = chaos_mesh(overrides(single_url(redis.users, redis.port)))

        async def flushed() -> None:
            redis.flush()

        await endure(mesh, flushed, [redis])
