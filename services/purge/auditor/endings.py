"""The ways in which a photo can end, each as an app would bring it about. ENDINGS is what an audit goes through."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from mesh.clock import Clock
from mesh.errors import Exhausted, MeshError, NotFound, Unavailable
from services.purge.auditor.canary.canary import Canary
from services.purge.auditor.peers import Upload, User
from services.purge.auditor.victim import Victim

_POLL = 0.1  # seconds
_RENDERING = 2  # mayfly.photo.v1.Stage: STAGE_RENDERING
LONGEST, _SHORT, _PARKED = 60.0, 2.0, 12.0  # seconds of a lease; the last one is enough to make and park a picture


class UnexpectedEnd(Exception):
    """The mesh did something else than this way of ending. The message is a reason's word, never a sentence."""


@dataclass(frozen=True, slots=True)
class Trip:
    """One canary on its way. parked: returns once the photo's picture is parked; its ciphertext, if it can be had."""

    user: User
    canary: Canary
    scene: str
    policy: str
    ttl: float
    clock: Clock
    victim: Victim
    parked: Callable[[str], Awaitable[bytes]]

    async def accepted(self) -> Upload:
        return await self.user.render(self.scene, self.policy, self.ttl)

    async def half_sent(self) -> Upload:
        return await (await self.accepted()).send(self.canary.data[: len(self.canary.data) // 2])

    async def sent(self) -> Upload:
        return await (await self.accepted()).send(self.canary.data)

    async def sealed(self) -> Upload:
        upload = await self.sent()
        await upload.seal(len(self.canary.data))
        return upload

    async def rendering(self) -> Upload:
        upload = await self.sealed()
        while (await upload.until("progress")).progress.stage != _RENDERING:
            pass
        return upload


@dataclass(frozen=True, slots=True)
class Gone:
    """What came of a trip. picture: what came back, perhaps only a part. ciphertext: what was parked."""

    photo_id: str
    picture: bytes = b""
    ciphertext: bytes = b""


async def _delivered(trip: Trip) -> Gone:
    upload = await trip.sealed()
    await upload.until("seal")
    await upload.deliver()
    await upload.until("receipt")
    return _gone(upload)


async def _cancelled_accepted(trip: Trip) -> Gone:
    return _hung_up(await trip.accepted())


async def _cancelled_upload(trip: Trip) -> Gone:
    return _hung_up(await trip.half_sent())


async def _cancelled_sealed(trip: Trip) -> Gone:
    return await _taken_back(trip, await trip.sealed())


async def _cancelled_rendering(trip: Trip) -> Gone:
    return await _taken_back(trip, await trip.rendering())


async def _cancelled_picture(trip: Trip) -> Gone:
    upload = await trip.sealed()
    await upload.until("chunk")
    return await _taken_back(trip, upload)


async def _unsealed(trip: Trip) -> Gone:
    upload = await trip.sent()
    await upload.end_upload()
    return await _failed(upload, "UPLOAD_UNSEALED")


async def _refused(trip: Trip) -> Gone:
    return await _failed(await trip.sealed(), "MALFORMED_PHOTO")


async def _refused_engine(trip: Trip) -> Gone:
    return await _failed(await trip.sealed(), "PHOTO_TOO_SMALL")


async def _expired(trip: Trip) -> Gone:
    async def stall(trip: Trip) -> Gone:
        upload = await trip.half_sent()
        error = await upload.error()
        if isinstance(error, Exhausted):
            raise error
        if error is None:
            raise UnexpectedEnd("NO_ERROR")
        return _gone(upload)

    return await _in_time(trip, stall)


async def _revoked(trip: Trip) -> Gone:
    upload = await trip.rendering()
    await trip.user.revoke(upload.photo_id)
    return await _failed(upload)


async def _collected(trip: Trip) -> Gone:
    upload = await trip.rendering()
    upload.hang_up()
    ciphertext, claimant = await trip.parked(upload.photo_id), secrets.token_bytes(16)
    deadline = trip.clock.monotonic() + trip.ttl
    while True:
        try:
            picture = await trip.user.collect(upload.photo_id, upload.resume_token, claimant)
            return Gone(upload.photo_id, picture, ciphertext)
        except Unavailable:
            if trip.clock.monotonic() > deadline:
                raise
            await trip.clock.sleep(_POLL)


async def _parked_expired(trip: Trip) -> Gone:
    async def park(trip: Trip) -> Gone:
        upload = await trip.rendering()
        upload.hang_up()
        return Gone(upload.photo_id, b"", await trip.parked(upload.photo_id))

    return await _in_time(trip, park)


async def _in_time(trip: Trip, attempt: Callable[[Trip], Awaitable[Gone]]) -> Gone:
    """Again with a longer lease, as long as render refuses the photo since its picture would come too late."""
    while True:
        try:
            return await attempt(trip)
        except Exhausted as error:
            if error.reason != "RENDER_TOO_LATE" or trip.ttl >= LONGEST:
                raise
        trip = replace(trip, ttl=min(2 * trip.ttl, LONGEST))


async def _killed(trip: Trip) -> Gone:
    return Gone(await trip.victim.send_and_die(trip.user, trip.canary.data, trip.scene, trip.policy, trip.ttl))


@dataclass(frozen=True, slots=True)
class Ending:
    """name: as tables and statements have it. outcome: the receipt's. kind: of canary; "": any.

    ttl: seconds of the lease, and more where the engines are so busy that it would be refused.
    """

    name: str
    outcome: str
    run: Callable[[Trip], Awaitable[Gone]]
    kind: str = ""
    ttl: float = LONGEST


ENDINGS = (
    Ending("delivered", "settled", _delivered),
    Ending("collected", "settled", _collected),
    Ending("cancelled_accepted", "revoked", _cancelled_accepted),
    Ending("cancelled_upload", "revoked", _cancelled_upload),
    Ending("cancelled_sealed", "revoked", _cancelled_sealed),
    Ending("cancelled_rendering", "revoked", _cancelled_rendering),
    Ending("cancelled_picture", "revoked", _cancelled_picture),
    Ending("killed_client", "revoked", _killed),
    Ending("unsealed", "revoked", _unsealed),
    Ending("refused_scrubber", "revoked", _refused, kind="malformed"),
    Ending("refused_decoder", "revoked", _refused, kind="undecodable"),
    Ending("refused_engine", "revoked", _refused_engine, kind="jpeg_small"),
    Ending("revoked", "revoked", _revoked),
    Ending("expired", "expired", _expired, ttl=_SHORT),
    Ending("parked_expired", "expired", _parked_expired, ttl=_PARKED),
)


def _gone(upload: Upload) -> Gone:
    return Gone(upload.photo_id, bytes(upload.picture))


def _hung_up(upload: Upload) -> Gone:
    upload.hang_up()
    return _gone(upload)


async def _taken_back(trip: Trip, upload: Upload) -> Gone:
    """After the seal a broken call means that the picture is to be parked; a cancel is a break and a revocation."""
    upload.hang_up()
    with contextlib.suppress(NotFound):  # it has ended meanwhile
        await trip.user.revoke(upload.photo_id)
    return _gone(upload)


async def _failed(upload: Upload, *reasons: str) -> Gone:
    error: Any = await upload.error()
    if not isinstance(error, MeshError) or (reasons and error.reason not in reasons):
        raise UnexpectedEnd(error.reason if isinstance(error, MeshError) else "NO_ERROR")
    return _gone(upload)


async def wait_for(condition: Callable[[], Awaitable[Any]], seconds: float, clock: Clock) -> Any:
    """The condition's first true value; None when there is none in time."""
    deadline = clock.monotonic() + seconds
    while not (value := await condition()):
        if clock.monotonic() > deadline:
            return None
        await asyncio.shield(clock.sleep(_POLL))
    return value
