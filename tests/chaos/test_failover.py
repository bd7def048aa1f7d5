"""Real Redis servers are killed, cut off, stopped, flushed, filled and given other certificates, while 200 photos are
on their way. Whatever was done: nobody gets another's picture, each lease has one receipt, nothing without a TTL
remains, and new photos work again within five seconds.
"""

from __future__ import annotations

import time

import pytest

from tests.chaos import certificates, promises
from tests.chaos.crowd import OVERRIDES, Crowd
from tests.chaos.ordeal import PROMISED, endure, works
from tests.chaos.troubles import ALL

needs_tls = pytest.mark.skipif(
    certificates.redis_binary() is None, reason="redis-server is not installed (Debian: redis-server)"
)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=make.__name__, marks=needs_tls if make is certificates.certificates_changed else ())
        for make in ALL
    ],
)
async def test_the_promises_hold(chaos_mesh, make):
    with make() as trouble:
        await endure(chaos_mesh(trouble.overrides), trouble)


@needs_tls
async def test_a_server_with_a_stranger_s_certificate_is_told_nothing(chaos_mesh):
    with certificates.tls_redis() as redis, redis.reloading() as reload:
        mesh = chaos_mesh({**OVERRIDES, "purge": redis.purge})
        async with Crowd(mesh) as crowd:
            assert all(trip.arrived for trip in await crowd.together(4))
            redis.certificates.issue_by_a_stranger(redis.certificates.server)
            await reload()
            assert {trip.end for trip in await crowd.together(4)} == {"REGISTRY_UNAVAILABLE"}
            redis.certificates.issue(redis.certificates.server)
            await reload()
            healed = time.monotonic()
            assert await works(crowd) - healed <= PROMISED
            promises.nobody_has_anothers(crowd)
            await promises.each_has_one_receipt(mesh, crowd)
