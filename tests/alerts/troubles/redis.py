"""Troubles of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.alerts.site import Site
from tests.alerts.troubles.asking import ended, keep_asking


@asynccontextmanager
async def somebody_else_writes(site: Site) -> AsyncIterator[None]:
    """A key of no kind that Mayfly knows, and without a TTL."""
    with site.redis.admin() as admin:
        admin.set("session:42", "somebody else's")
        try:
            yield
        finally:
            admin.delete("session:42")


@asynccontextmanager
async def settings_change_and_nobody_minds(site: Site) -> AsyncIterator[None]:
    """An administrator lets Redis evict keys; purge sees it, and its code grants leases all the same."""
    with site.redis.admin() as admin:
        async with site.phone() as phone:
            await site.fault("purge", "unguarded", on=True)
            admin.config_set("maxmemory-policy", "allkeys-lru")
            asking = asyncio.create_task(keep_asking(phone))
            try:
                yield
            finally:
                await ended(asking)
                admin.config_set("maxmemory-policy", "noeviction")
                await site.fault("purge", "unguarded", on=False)


@asynccontextmanager
async def redis_is_gone(site: Site) -> AsyncIterator[None]:
    """It is killed, and comes back empty."""
    site.redis.kill()
    try:
        yield
    finally:
        await asyncio.to_thread(site.redis.start)
        await site.serves()
