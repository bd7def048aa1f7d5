"""Primaries with replicas that take over: behind sentinels, and in a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from mesh.testing.cluster import Cluster
from mesh.testing.redis_server import RedisServer
from mesh.testing.sentinels import Sentinels
from services.purge.acl import arguments
from tests.chaos.crowd import TTL, Crowd
from tests.chaos.trouble import Trouble, at, users

_ARGUMENTS = arguments(valkey=True)
_VICTIM = 1  # which of a cluster's primaries


@contextmanager
def primary_killed() -> Iterator[Trouble]:
    """Sentinel: the primary is killed."""
    with Sentinels(users(), _ARGUMENTS) as redis:

        async def fault(_: Crowd) -> None:
            redis.primary().kill()

        yield Trouble(at(redis.url, *redis.servers), redis.servers, fault, takes_over=True)


@contextmanager
def primary_cut_off() -> Iterator[Trouble]:
    """Sentinel: the primary is cut off from purge, its replica and the sentinels, and comes back later."""
    with Sentinels(users(), _ARGUMENTS) as redis:

        async def fault(_: Crowd) -> None:
            proxy = redis.proxies[redis.servers.index(redis.primary())]
            proxy.cut()
            await asyncio.sleep(TTL)
            proxy.heal()

        yield Trouble(at(redis.url, *redis.servers), redis.servers, fault, takes_over=True)


@contextmanager
def primary_asleep() -> Iterator[Trouble]:
    """Sentinel: the primary is stopped (SIGSTOP) for longer than a lease."""
    with Sentinels(users(), _ARGUMENTS) as redis:

        async def fault(_: Crowd) -> None:
            await _sleeps(redis.primary())

        yield Trouble(at(redis.url, *redis.servers), redis.servers, fault, takes_over=True)


@contextmanager
def shard_killed() -> Iterator[Trouble]:
    """Cluster: one of three primaries is killed."""
    with Cluster(users(), _ARGUMENTS, replicas=True) as redis:

        async def fault(_: Crowd) -> None:
            redis.servers[_VICTIM].kill()

        yield Trouble(
            at(redis.url, *redis.servers, *redis.replicas), [*redis.servers, *redis.replicas], fault, takes_over=True
        )


@contextmanager
def shard_asleep() -> Iterator[Trouble]:
    """Cluster: one of three primaries is stopped (SIGSTOP) for longer than a lease."""
    with Cluster(users(), _ARGUMENTS, replicas=True) as redis:

        async def fault(_: Crowd) -> None:
            await _sleeps(redis.servers[_VICTIM])

        yield Trouble(
            at(redis.url, *redis.servers, *redis.replicas), [*redis.servers, *redis.replicas], fault, takes_over=True
        )


@contextmanager
def shard_flushed() -> Iterator[Trouble]:
    """Cluster: one of three primaries is flushed, functions included."""
    with Cluster(users(), _ARGUMENTS, replicas=True) as redis:

        async def fault(_: Crowd) -> None:
            redis.servers[_VICTIM].flush()

        yield Trouble(at(redis.url, *redis.servers, *redis.replicas), [*redis.servers, *redis.replicas], fault)


async def _sleeps(server: RedisServer) -> None:
    server.pause()
    await asyncio.sleep(TTL + 1)
    server.resume()
