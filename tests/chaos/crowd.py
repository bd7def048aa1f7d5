"""Many callers at once, each with a photo that nobody else has, who know their own picture when they see it."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from typing import Self

from PIL import Image

from clients.local.mesh import LocalMesh
from clients.sdk.client import MayflyClient
from clients.sdk.results import Lease, Picture, Result
from mayfly.gateway.v1 import gateway_pb2
from mesh import errors
from services.render.engines.null import plain
from tests.e2e.phone import Phone

SCENE = "bright_day"
TTL = 4.0  # seconds
GRACE = 2.5  # seconds: EXPIRE_WITHIN, one time-out of Redis
AT_ONCE = 16
FACES = 1024
_SIDES = 32
_CONNECTIONS = 4
_HURRY = 0.5  # seconds that a refused caller waits at most before the next photo
CLEAR = (errors.Unavailable, errors.NotFound, errors.Aborted, errors.Overdue, errors.Cancelled, errors.Exhausted)
"""What a photo may end in when the registry fails in its midst (docs/api.md); never INTERNAL."""
OVERRIDES = {
    "gateway": {"MAYFLY_GATEWAY_MAX_PHOTOS": "512", "MAYFLY_GATEWAY_MAX_PHOTOS_PER_OWNER": "512"},
    "render": {"MAYFLY_RENDER_ENGINE": "null", "MAYFLY_RENDER_QUEUE": "512"},
}
"""The engine whose picture costs nothing and tells whose it is, and room for a crowd."""


def size(number: int) -> tuple[int, int]:
    """The photo's width and height, as nobody else's among 1024: that is what tells pictures apart."""
    return 64 + 4 * (number % _SIDES), 64 + 4 * (number // _SIDES % _SIDES)


@cache
def photo(number: int) -> bytes:
    """A small JPEG."""
    out = io.BytesIO()
    Image.effect_noise(size(number), 64).convert("RGB").save(out, "JPEG")
    return out.getvalue()


@dataclass(slots=True)
class Trip:
    """One photo. end: "delivered", "collected", "abandoned", or the reason of the error. Times: monotonic, seconds."""

    number: int
    began: float
    over: float = 0.0
    end: str = ""
    photo_id: str = ""
    receipt: bool = False
    wrong: str = ""
    """What is against the promises: another's picture, an error that explains nothing, a call beyond the lease."""

    @property
    def arrived(self) -> bool:
        return self.end in ("delivered", "collected")


class Crowd:
    """Callers with connections of their own. ``trips``: all that were made, in the order in which they began."""

    def __init__(self, mesh: LocalMesh) -> None:
        self.mesh = mesh
        self.trips: list[Trip] = []
        self._phones: list[Phone] = []
        self._clients: list[MayflyClient] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for number in range(_CONNECTIONS):
            name = f"caller-{number}"
            self._phones.append(await self._stack.enter_async_context(Phone(self.mesh, name)))
            client = MayflyClient(self.mesh.gateway_address, self.mesh.ca_file, self.mesh.token(name))
            self._clients.append(await self._stack.enter_async_context(client))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def send(self, count: int, at_once: int = AT_ONCE) -> None:
        """So many photos, ``at_once`` at a time. Whoever is refused waits, as it was told to, before the next."""
        left = iter(range(count))

        async def caller() -> None:
            for _ in left:
                trip = await self.trip()
                if not trip.arrived:
                    await asyncio.sleep(_HURRY * random.random())

        await asyncio.gather(*(caller() for _ in range(at_once)))

    async def together(self, count: int) -> list[Trip]:
        """So many photos, all at the same time."""
        return list(await asyncio.gather(*(self.trip() for _ in range(count))))

    async def trip(self) -> Trip:
        """One photo, from its start to its receipt; one of four hangs up and collects."""
        return await self._trip(self._collect if len(self.trips) % 4 == 3 else self._wait)

    async def _trip(self, go: Callable[[Trip], Awaitable[Picture | None]]) -> Trip:
        number = len(self.trips)
        trip = Trip(number, time.monotonic())
        self.trips.append(trip)
        assert number < FACES, "more photos than faces"
        try:
            async with asyncio.timeout(TTL + GRACE + 1):
                picture = await go(trip)
            if picture is not None and picture.data != plain(*size(number)):
                trip.wrong = "got another's picture"
        except errors.MeshError as error:
            trip.end = error.reason
            if not isinstance(error, CLEAR):
                trip.wrong = f"an error that explains nothing: {type(error).__name__} {error}"
        except TimeoutError:
            trip.end, trip.wrong = "HANGS", "was kept waiting beyond its lease"
        trip.over = time.monotonic()
        return trip

    async def abandon(self, count: int) -> list[Trip]:
        """So many photos whose pictures are parked and never collected, all at the same time."""
        return list(await asyncio.gather(*(self._trip(self._park) for _ in range(count))))

    def tally(self) -> Counter[str]:
        """How many photos ended how."""
        return Counter(trip.end for trip in self.trips)

    async def _wait(self, trip: Trip) -> Picture:
        """The whole trip on one stream."""

        def accepted(lease: Lease) -> None:
            trip.photo_id = lease.photo_id

        client = self._clients[trip.number % _CONNECTIONS]
        result = await client.render(_slowly(photo(trip.number)), SCENE, ttl=TTL, on_accepted=accepted)
        trip.end, trip.receipt = ("delivered" if result.scrubbed else "collected"), result.receipt is not None
        return result.picture

    async def _collect(self, trip: Trip) -> Picture:
        """Hangs up before the picture is there, and comes back for it."""
        accepted = await self._hang_up(trip)
        lease = Lease(trip.photo_id, accepted.expire_time.ToDatetime(), accepted.resume_token)
        result = await self._patiently(self._clients[trip.number % _CONNECTIONS], lease)
        trip.end, trip.receipt = "collected", result.receipt is not None
        return result.picture

    async def _park(self, trip: Trip) -> None:
        await self._hang_up(trip)
        trip.end = "abandoned"

    async def _hang_up(self, trip: Trip) -> gateway_pb2.Accepted:
        """When the photo is with render."""
        upload = await self._phones[trip.number % _CONNECTIONS].render().start(SCENE, ttl=TTL)
        trip.photo_id = upload.accepted.photo_id
        await upload.upload(photo(trip.number))
        await upload.until("scrubbed")
        upload.hang_up()
        return upload.accepted

    async def _patiently(self, client: MayflyClient, lease: Lease) -> Result:
        """Comes again while it is told to."""
        until = time.monotonic() + TTL
        while True:
            try:
                return await client.collect(lease.photo_id, lease.resume_token)
            except errors.Unavailable:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.1)


async def _slowly(data: bytes) -> AsyncIterator[bytes]:
    """With a pause, so that a fault finds photos at every step."""
    yield data[: len(data) // 2]
    await asyncio.sleep(0.3 * random.random())
    yield data[len(data) // 2 :]
