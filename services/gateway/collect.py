"""Hands out a parked picture: claimed before a byte leaves, given back if the bytes didn't arrive."""

from __future__ import annotations

import secrets

from mesh import frames
from mesh.clock import Clock
from mesh.custody.book import PHOTO_ID, CustodyBook
from mesh.custody.guard import in_custody
from mesh.errors import Invalid, MeshError, Unavailable, no_such_photo
from mesh.tasks import Tasks
from services.gateway import messages
from services.gateway.client import Client
from services.gateway.parking import Parking
from services.gateway.peers import Claim, Registry
from services.gateway.resume import ResumeToken


class Collector:
    """One call to ``collect`` is one try of one client."""

    def __init__(self, *, book: CustodyBook, holder: str, registry: Registry, tasks: Tasks, clock: Clock) -> None:
        self._book = book
        self._holder = holder
        self._registry = registry
        self._tasks = tasks
        self._clock = clock

    async def collect(self, client: Client, owner: bytes, photo_id: str, resume_token: str) -> None:
        """Streams the picture and then its receipt to ``client``. NotFound, Unavailable(NOT_PARKED_YET)."""
        if not PHOTO_ID.match(photo_id):
            raise no_such_photo()
        token = ResumeToken.parse(resume_token)
        claimed, claimant = False, secrets.token_bytes(16)
        try:
            async with self._registry.claim(photo_id, owner, token.claim_secret(), claimant) as claim:
                claimed = True
                await self._stream(client, claim, Parking(token.parking_key(photo_id), photo_id))
        except BaseException:
            if claimed:
                self._tasks.spawn(self._give_back(photo_id, token, claimant))
            raise
        bundle = await self._registry.settle(photo_id, [self._holder], collected=True)
        await client.write(messages.receipt(photo_id, bundle))

    async def _stream(self, client: Client, claim: Claim, parking: Parking) -> None:
        try:
            async with in_custody(self._book, claim.lease) as custody:
                at = 0
                async for segment in claim.segments:
                    at += 1
                    frame = parking.open(segment, last=at == claim.segment_count)
                    frames.sole_field(frame)
                    with custody.passing(len(frame)):
                        await client.write(frame)
                if at != claim.segment_count:
                    raise no_such_photo()
        except Invalid as error:
            if error.reason != "PHOTO_IN_USE":
                raise
            # The journey that parked it is just letting go.
            raise Unavailable("NOT_PARKED_YET", "The picture isn't ready yet; try again.", retry_after=1.0) from None

    async def _give_back(self, photo_id: str, token: ResumeToken, claimant: bytes) -> None:
        try:
            await self._registry.return_claim(photo_id, token.claim_secret(), claimant)
        except MeshError:
            return  # the lease has ended meanwhile, or will
