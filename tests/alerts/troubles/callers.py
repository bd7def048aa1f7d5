"""Code that does what it may not, and callers who do, or who don't come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc

from clients.local.pki import TRUST_DOMAIN, Pki
from mesh import frames, streams
from mesh.channel import open_channel
from mesh.custody.book import LeaseRef
from mesh.custody.metadata import to_metadata
from mesh.identity import Identity
from mesh.testing.wait import eventually
from tests.alerts.site import Site
from tests.alerts.troubles.asking import FAILURES, TOO_LONG, ended, keep_asking
from tests.chaos.crowd import SCENE, photo


@asynccontextmanager
async def code_goes_wrong(site: Site) -> AsyncIterator[None]:
    """A scrubber lets a comment through, a decoder asks for a connection, code says a caption wherever it can."""
    await site.fault("ingest", "comments", on=True)
    try:
        async with site.phone() as phone:
            upload = await (await phone.render().start(SCENE)).upload(photo(1))
            assert (await upload.error()).reason == "SCRUB_DISAGREEMENT"
        await site.fault("render", "seized", on=True)
        await site.fault("ingest", "talkative", on=True)
        yield
    finally:
        await site.fault("ingest", "comments", on=False)


@asynccontextmanager
async def photos_come_without_a_lease(site: Site) -> AsyncIterator[None]:
    """Somebody with the gateway's certificate sends photos whose leases are over."""
    pki = Pki(site.mesh.state.pki)
    identity = Identity.load(
        cert=pki.certificate("gateway"), key=pki.key("gateway"), ca=pki.ca, trust_domain=TRUST_DOMAIN, service="gateway"
    )
    async with open_channel(site.mesh.processes["ingest"].address, identity, "ingest") as channel:
        for number in range(FAILURES):
            lease = LeaseRef(f"{number:032x}", time.time() - 1)
            call = channel.stream_stream("/mayfly.ingest.v1.IngestService/Scrub")(metadata=to_metadata(lease))
            with suppress(grpc.RpcError, asyncio.InvalidStateError):
                await streams.write(call, frames.encode_chunk((b"a photo",), 7))
            assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        yield


@asynccontextmanager
async def nobody_collects(site: Site) -> AsyncIterator[None]:
    """Pictures wait for their owners for longer than photos usually live. They were parked when the mesh started."""
    if not site.long_parked:
        await site.park(FAILURES, TOO_LONG)

    async def over() -> bool:
        return await site.total("purge", "mayfly_parked_pictures") == 0

    await eventually(over, within=TOO_LONG + 10, every=0.5)
    yield


@asynccontextmanager
async def apps_are_behind(site: Site) -> AsyncIterator[None]:
    """They ask, again and again, with a consent to a policy that isn't in force."""
    async with site.phone() as phone:
        asking = asyncio.create_task(keep_asking(phone, policy_version="2020-01"))
        try:
            yield
        finally:
            await ended(asking)
