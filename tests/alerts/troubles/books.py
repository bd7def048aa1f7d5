"""The log, and purge's own work."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mesh.testing.witness import WitnessServer
from tests.alerts.site import Site
from tests.chaos.crowd import SCENE
from tests.e2e import keys


@asynccontextmanager
async def disk_is_full(site: Site) -> AsyncIterator[None]:
    """The kernel refuses each write of purge's to a file, as a full disk does; leases end meanwhile."""
    async with site.phone() as phone:
        uploads = [await phone.render().start(SCENE, ttl=60.0) for _ in range(2)]
        pid = site.mesh.pid("purge")
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            for upload in uploads:
                upload.hang_up()
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@asynccontextmanager
async def checkpoint_is_in_the_way(site: Site) -> AsyncIterator[None]:
    """Somebody has put a folder where the log's checkpoint was, so none can be published."""
    checkpoint = keys.log_directory(site.mesh) / "checkpoint"
    kept = checkpoint.with_name("checkpoint.kept")
    checkpoint.rename(kept)
    checkpoint.mkdir()
    try:
        async with site.phone() as phone:
            (await phone.render().start(SCENE)).hang_up()
            yield
    finally:
        checkpoint.rmdir()
        kept.rename(checkpoint)


@asynccontextmanager
async def witness_knows_another_history(site: Site) -> AsyncIterator[None]:
    """A witness has cosigned a log of the same name and key with other entries, before it is shown this one."""
    log = keys.log_verifier(site.mesh)
    witness = WitnessServer("witness.test/w", [log])
    try:
        witness.seen[log.name] = (2, b"another root".ljust(32))
        listed = site.folder / "witnesses"
        listed.write_text(f"{witness.verifier.vkey} {witness.url}\n", encoding="utf-8")
        await site.restart("purge", MAYFLY_PURGE_WITNESSES=str(listed))
        try:
            yield
        finally:
            await site.restart("purge")
    finally:
        witness.stop()


@asynccontextmanager
async def reaper_sleeps(site: Site) -> AsyncIterator[None]:
    """A bug: nobody ends the leases that are due."""
    async with site.phone() as phone:
        await site.fault("purge", "reaper_asleep", on=True)
        try:
            await phone.render().start(SCENE, ttl=1.0)
            yield
        finally:
            await site.fault("purge", "reaper_asleep", on=False)


@asynccontextmanager
async def lease_is_forgotten(site: Site) -> AsyncIterator[None]:
    """A bug: a lease leaves purge's books without an end. Its log knows, so a restart finds it."""
    async with site.phone() as phone:
        await phone.render().start(SCENE, ttl=60.0)
        await site.fault("purge", "forgetful", on=True)
        try:
            yield
        finally:
            await site.restart("purge")
