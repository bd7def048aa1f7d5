"""A primary, its replica and three sentinels: the primary dies, is cut off, or sleeps for longer than a lease."""

from __future__ import annotations

import asyncio

import pytest

from mesh.testing.sentinels import Sentinels
from tests.chaos.crowd import TTL
from tests.chaos.deployments import ARGUMENTS, overrides, users
from tests.chaos.ordeal import Fault, endure


def killed(redis: Sentinels) -> Fault:
    async def fault() -> None:
        redis.primary().kill()

    return fault


def cut_off(redis: Sentinels) -> Fault:
    """From purge, from its replica and from the sentinels."""

    async def fault() -> None:
        proxy = redis.proxies[redis.servers.index(redis.primary())]
        proxy.cut()
        await asyncio.sleep(TTL)
        proxy.heal()

    return fault


def asleep(redis: Sentinels) -> Fault:
    async def fault() -> None:
        primary = redis.primary()
        primary.pause()
        await asyncio.sleep(TTL + 1)
        primary.resume()

    return fault


@pytest.mark.parametrize("fault", [killed, cut_off, asleep])
async def test_another_takes_over(chaos_mesh, fault):
    with Sentinels(users(), ARGUMENTS) as redis:
        mesh = chaos_mesh(overrides(redis.url))
        await endure(mesh, fault(redis), redis.servers, takes_over=True)
