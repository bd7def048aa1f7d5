"""SIGKILL for each service while photos are at every step of the trip.

Within the lease's TTL plus two seconds there is nothing left in Redis but receipts and counters under their TTLs, and a
receipt for each lease, whoever died. One kill hits one photo at each step.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest

from clients.local.environment import SERVICES
from mayfly.gateway.v1 import gateway_pb2 as pb
from mesh.errors import MeshError
from mesh.testing.wait import eventually
from tests.e2e import books
from tests.e2e.phone import Phone, Upload

TTL = 12.0  # seconds; long enough for every photo to get where the kill finds it
_PHOTOS_LONG = 12  # as many times as long as one photo takes, where that is more
GRACE = 2.0
QUICK, SLOW = "bright_day", "moonlit_hills"

Step = Callable[[Upload, bytes], Awaitable[None]]


async def accepted(upload: Upload, photo: bytes) -> None:
    """The lease exists; not a byte was sent."""


async def uploading(upload: Upload, photo: bytes) -> None:
    """Ingest has half of the photo."""
    await upload.send(photo[: len(photo) // 2])


async def scrubbed(upload: Upload, photo: bytes) -> None:
    """Render has the whole photo."""
    await upload.upload(photo)
    await upload.until("scrubbed")


async def rendering(upload: Upload, photo: bytes) -> None:
    """The engine is at work."""
    await upload.upload(photo)
    await upload.until("progress")


async def picture_on_its_way(upload: Upload, photo: bytes) -> None:
    """The client has the picture's header, and reads no further."""
    await upload.upload(photo)
    await upload.until("header")


async def unconfirmed(upload: Upload, photo: bytes) -> None:
    """The client has the whole picture and hasn't said so."""
    await upload.upload(photo)
    await upload.until("seal")


async def delivered(upload: Upload, photo: bytes) -> None:
    """The client has just said so; the receipt is being made."""
    await unconfirmed(upload, photo)
    await upload.deliver()


async def parked(upload: Upload, photo: bytes) -> None:
    """The client hung up; the picture is being parked, or is."""
    await picture_on_its_way(upload, photo)
    upload.hang_up()


async def collecting(upload: Upload, photo: bytes) -> None:
    """The client came back for it, has its header, and reads no further."""
    await parked(upload, photo)

    async def claimed() -> bool:
        # In the upload's place: it must stay open, and how it ends is the client's answer.
        upload.call = upload.phone.collecting(upload.accepted.photo_id, upload.accepted.resume_token)
        try:
            return isinstance(await upload.call.read(), pb.CollectResponse)
        except grpc.RpcError:
            return False

    await eventually(claimed, within=upload.accepted.expire_time.seconds - time.time())


STEPS: tuple[Step, ...] = (
    accepted, uploading, scrubbed, rendering, picture_on_its_way, unconfirmed, delivered, parked, collecting,
)  # fmt: skip


@contextlib.asynccontextmanager
async def photos_everywhere(mesh, photo: bytes, ttl: float) -> AsyncIterator[dict[str, Upload]]:
    """One photo of one user at each step. ttl: of their leases, seconds."""
    async with contextlib.AsyncExitStack() as stack:
        uploads: dict[str, Upload] = {}

        async def go(step: Step) -> None:
            phone = await stack.enter_async_context(Phone(mesh, step.__name__))
            scene = SLOW if step is rendering else QUICK
            uploads[step.__name__] = await phone.render().start(scene, ttl=ttl)
            await step(uploads[step.__name__], photo)

        # The slow one last, so that the others find the engine free.
        await asyncio.gather(*(go(step) for step in STEPS if step is not rendering))
        await go(rendering)
        yield uploads


@pytest.mark.parametrize("victim", SERVICES)
async def test_a_killed_service_leaves_nothing_and_owes_no_receipt(fresh_mesh, portrait, victim):
    mesh = fresh_mesh()
    photo = portrait[0]
    ttl, grace = await long_enough(mesh, photo)
    async with photos_everywhere(mesh, photo, ttl) as uploads:
        expiry = time.monotonic() + ttl
        mesh.kill(victim)
        if victim == "purge":
            # Without purge nobody can sign; what must hold even so is that Redis is clean in time.
            await books.eventually(lambda: books.nothing_in(books.live_keys, mesh), ttl + grace, "keys are left")
            mesh.restart(victim)
        receipts = await books.balance(
            mesh, max(expiry - time.monotonic(), 0) + grace + (10 if victim == "purge" else 0)
        )
        answers = {step: await answer(upload) for step, upload in uploads.items()}
    ids = {step: upload.accepted.photo_id for step, upload in uploads.items()}
    assert set(ids.values()) <= set(receipts)
    for step, what in answers.items():
        assert what != "INTERNAL", f"{step} ended in an error that explains nothing"
        if what == "receipt":
            assert receipts[ids[step]].outcome == "settled"
    if victim != "purge":
        mesh.restart(victim)
    await books.recovered(mesh)
    async with Phone(mesh, "afterwards") as phone:
        upload = await (await phone.render().start(QUICK)).upload(photo)
        await upload.until("seal")
        await upload.deliver()
        await upload.until("receipt")


async def long_enough(mesh, photo: bytes) -> tuple[float, float]:
    """Seconds in which all photos get to their steps, and one step of the engine to its end, on a machine that does
    other things as well."""
    async with Phone(mesh, "before") as phone:
        began = time.monotonic()
        upload = await (await phone.render().start(QUICK, ttl=60.0)).upload(photo)
        await upload.until("seal")
        await upload.deliver()
        await upload.until("receipt")
        seconds = time.monotonic() - began
        return max(TTL, _PHOTOS_LONG * seconds), max(GRACE, 2 * seconds)


async def answer(upload: Upload) -> str:
    """ "receipt", or the reason of the error that the client got."""
    try:
        async with asyncio.timeout(5):
            await upload.until("receipt")
        return "receipt"
    except MeshError as error:
        return error.reason
    except asyncio.CancelledError:
        return "hung up"
