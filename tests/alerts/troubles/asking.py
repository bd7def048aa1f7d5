"""What people do while there is trouble, and figures of how much."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from mayfly.gateway.v1 import gateway_pb2 as pb
from mesh.errors import MeshError
from mesh.testing.wait import eventually
from tests.alerts.site import Site
from tests.chaos.crowd import SCENE, photo
from tests.e2e.phone import Phone, Upload

FAILURES = 6
"""Photos that fare badly: five must, before a burn rate pages."""
TOO_LONG = 124.0
"""Seconds of a lease, longer than the objective of residency."""
TOO_LATE = 10.0
"""Seconds until a picture, the objective of a light scene's latency."""


async def take_back(upload: Upload) -> None:
    """The app revokes it; holders have two seconds to confirm before it is told that this takes longer."""
    with suppress(MeshError):
        await upload.phone.ask("Revoke", pb.RevokeRequest(photo_id=upload.accepted.photo_id))


async def ended(*tasks: asyncio.Task[None]) -> None:
    """Cancels them until they are over: grpc.aio loses a cancellation that meets the end of a call."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=0.2)


async def keep_waiting(site: Site, phone: Phone) -> None:
    """Photos, several at a time, whose pictures come late."""
    uploaded = 0.0

    def late() -> bool:
        return time.monotonic() - uploaded > TOO_LATE

    while True:
        await site.fault("render", "slow", on=True)
        uploads = [await (await phone.render().start(SCENE, ttl=60.0)).upload(photo(n)) for n in range(FAILURES)]
        uploaded = time.monotonic()
        await eventually(late, within=2 * TOO_LATE, every=0.1)
        await site.fault("render", "slow", on=False)
        await asyncio.gather(*(upload.until("seal") for upload in uploads))
        for upload in uploads:
            upload.hang_up()


async def keep_asking(phone: Phone, **start: str) -> None:
    """Photos, one after the other, whatever is answered. start: fields of their `start`."""
    while True:
        upload = phone.render()
        with suppress(MeshError, EOFError):
            await upload.start(SCENE, ttl=10.0, **start)
            await upload.upload(photo(1))
            await upload.until("seal")
        upload.hang_up()
