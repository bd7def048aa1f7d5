"""Processes that stand still, are slow, or die."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.alerts.site import Site
from tests.alerts.troubles.asking import FAILURES, ended, keep_asking, keep_waiting, take_back


@asynccontextmanager
async def render_stands_still(site: Site) -> AsyncIterator[None]:
    """Its process is stopped with photos in its hands, which are taken back; their leases end meanwhile."""
    async with site.phone() as phone:
        held = await site.pictures(phone, FAILURES, ttl=6.0)
        site.signal("render", signal.SIGSTOP)
        try:
            await asyncio.gather(*(take_back(upload) for upload in held))
            yield
        finally:
            site.signal("render", signal.SIGCONT)


@asynccontextmanager
async def render_wakes_late(site: Site) -> AsyncIterator[None]:
    """The same for so long that a photo can't be swept up after."""
    async with site.phone() as phone:
        (taken_back,) = await site.pictures(phone, 1, ttl=60.0)
        site.signal("render", signal.SIGSTOP)
        try:
            await take_back(taken_back)
            await site.fires("MayflyMemoryUnswept")
        finally:
            site.signal("render", signal.SIGCONT)
        yield


@asynccontextmanager
async def engine_is_slow(site: Site) -> AsyncIterator[None]:
    """It takes longer for each picture than a light scene's may be on its way, and people go on asking: one in seven of
    an hour's pictures must be late, and there may have been many before."""
    async with site.phone() as phone:
        waiting = asyncio.create_task(keep_waiting(site, phone))
        try:
            yield
        finally:
            await ended(waiting)
            await site.fault("render", "slow", on=False)


@asynccontextmanager
async def render_dies_with_photos(site: Site) -> AsyncIterator[None]:
    """It is killed, and another process takes its place: what it held is lost."""
    async with site.phone() as phone:
        await site.pictures(phone, 2, ttl=30.0)
        await site.kill("render")
        await site.restart("render")
        yield


@asynccontextmanager
async def ingest_is_dead(site: Site) -> AsyncIterator[None]:
    """It is killed, while people go on asking for pictures."""
    async with site.phone() as phone:
        await site.kill("ingest")
        asking = [asyncio.create_task(keep_asking(phone)) for _ in range(4)]
        try:
            yield
        finally:
            await ended(*asking)
            await site.restart("ingest")


@asynccontextmanager
async def purge_is_dead(site: Site) -> AsyncIterator[None]:
    await site.kill("purge")
    try:
        yield
    finally:
        await site.restart("purge")
