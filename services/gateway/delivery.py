"""The way out: the picture to the client; or, if the client is gone or doesn't confirm, sealed into the registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from enum import Enum

from mesh import frames
from mesh.clock import Clock
from mesh.custody.book import Custody
from mesh.tracing import spans
from mesh.tracing.marks import Marks
from services.gateway import messages
from services.gateway.client import Client, ClientGone
from services.gateway.parking import Parking
from services.gateway.peers import Registry
from services.gateway.picture import Picture


class Outcome(Enum):
    """How a journey ends well."""

    DELIVERED = "delivered"
    PARKED = "parked"  # the client hung up
    UNCONFIRMED = "unconfirmed"  # parked too: the client is there, but didn't say that the picture arrived


class Delivery:
    """One finished picture. ``seconds``: how long the client may take to confirm it. ``key``: of a parked picture.

    handed_out: called when its last byte has gone out to the client.
    """

    def __init__(
        self,
        *,
        client: Client,
        registry: Registry,
        clock: Clock,
        custody: Custody,
        key: bytes,
        seconds: float,
        handed_out: Callable[[], None],
    ) -> None:
        self._client = client
        self._registry = registry
        self._clock = clock
        self._custody = custody
        self._key = key
        self._seconds = seconds
        self._handed_out = handed_out
        self._marks = Marks("picture")

    async def run(self, picture: Picture, holders: Sequence[str]) -> Outcome:
        """Delivers or parks. ``holders``: every process that has had the photo until now."""
        try:
            while await self._hand_out(picture):
                pass
            self._marks.end()
            self._handed_out()
            outcome = Outcome.DELIVERED if await self._confirmed() else Outcome.UNCONFIRMED
        except ClientGone:
            outcome = Outcome.PARKED
        if outcome is not Outcome.DELIVERED:
            await self._park(picture, holders)
        spans.event(outcome.value)
        return outcome

    async def _hand_out(self, picture: Picture) -> bool:
        """One frame; False after the last."""
        frame = await picture.next()
        if frame is None:
            return False
        with self._custody.passing(len(frame)):
            await self._client.write(frame)
        self._marks.piece()
        return True

    async def _confirmed(self) -> bool:
        try:
            async with asyncio.timeout(self._seconds):
                return messages.is_delivered(await self._client.read())
        except TimeoutError:
            return False

    async def _park(self, picture: Picture, holders: Sequence[str]) -> None:
        lease = self._custody.lease

        async def segments() -> AsyncGenerator[bytes, None]:
            # Sealed anew when another replica is asked: the same frames, hence the same nonces for the same plaintext.
            parking = Parking(self._key, lease.photo_id)
            await picture.rewind()
            while (frame := await picture.next()) is not None:
                with self._custody.passing(len(frame)):
                    yield parking.seal(frame, last=frames.sole_field(frame)[0] == frames.SEAL)

        await self._registry.park(lease.photo_id, holders, segments, lease.expire_time - self._clock.wall())
