"""Photos for a mesh that is watched: several scenes, and every way in which a photo can end, a few at a time."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from PIL import Image

from clients.demo import sample
from clients.sdk.client import MayflyClient
from clients.sdk.results import Lease, Progress, Scene
from mesh.errors import Internal, Invalid, MeshError

SIDE = 512
"""Pixels of the photo's longer side: what takes the mesh little work."""
_PAUSE = 2.0  # seconds between two photos
_SHORT = 20.0  # seconds of a lease that is to run out; the picture must be made by then
_COSTS = ("light", "standard", "heavy")


def photo() -> bytes:
    """The demo's portrait, small. ConfigError where matplotlib, which carries it, is not installed."""
    with Image.open(io.BytesIO(sample.load(None).data)) as portrait:
        portrait.thumbnail((SIDE, SIDE))
        written = io.BytesIO()
        portrait.convert("RGB").save(written, "JPEG", quality=88)
    return written.getvalue()


End = Callable[[str], Awaitable[str]]
"""Sends a photo for a scene; returns how it ended: another way than was meant, if the picture came too soon for it."""


class Workload:
    """ended: way of ending -> photos. failed: what the mesh said instead, by reason."""

    def __init__(self, client: MayflyClient, scenes: Sequence[Scene], data: bytes) -> None:
        self._client = client
        self._data = data
        self._some = _one_of_each_cost(scenes)
        self._all = [*self._some, *(scene for scene in scenes if scene not in self._some)]
        self.ended: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    async def round(self) -> None:
        """One photo for each ending, two at a time, of one scene of each class of cost."""
        places, scenes = asyncio.Semaphore(2), itertools.cycle(self._some)

        async def one(end: End, scene: Scene) -> None:
            async with places:
                await self._one(end, scene.scene_id)

        await asyncio.gather(*(one(end, next(scenes)) for end in self._endings()))

    async def forever(self, tell: Callable[[str, str], None] = lambda ending, scene: None) -> None:
        """One photo after the other, with pauses, of all scenes in turn, until it is cancelled.

        tell: how each has ended, or that it failed and why, and its scene's title.
        """
        scenes = itertools.cycle(self._all)
        while True:
            for end in self._endings():
                scene = next(scenes)
                tell(await self._one(end, scene.scene_id), scene.title)
                await asyncio.sleep(_PAUSE)

    def _endings(self) -> Sequence[End]:
        return (
            self._delivered,
            self._expired,
            self._delivered,
            self._collected,
            self._revoked,
            self._delivered,
            self._refused,
        )

    async def _one(self, end: End, scene_id: str) -> str:
        """How it ended, in words."""
        try:
            name = await end(scene_id)
        except MeshError as error:
            self.failed[error.reason] += 1
            return f"failed: {error.reason}"
        self.ended[name] += 1
        return name

    async def _delivered(self, scene_id: str) -> str:
        await self._client.render(self._data, scene_id)
        return "delivered"

    async def _collected(self, scene_id: str) -> str:
        """A phone that hangs up while its picture is made, and comes back for it."""
        lease = await self._hung_up(scene_id)
        if lease is None:
            return "delivered"
        await self._client.collect_when_parked(lease)
        return "collected"

    async def _revoked(self, scene_id: str) -> str:
        """A family that takes its photo back while the picture is made."""
        lease = await self._hung_up(scene_id)
        if lease is None:
            return "delivered"
        await self._client.revoke(lease.photo_id)
        return "revoked"

    async def _expired(self, scene_id: str) -> str:
        """A phone that hangs up and never comes back: its picture waits until the lease is over."""
        return "delivered" if await self._hung_up(scene_id, ttl=_SHORT) is None else "expired"

    async def _refused(self, scene_id: str) -> str:
        """What says that it is a photo, and is none. Internal if a picture was made of it."""
        try:
            await self._client.render(self._data[:2] + b"not a photo" * 99, scene_id)
        except Invalid:
            return "refused"
        raise Internal("NOT_REFUSED", "The mesh has made a picture of what is no photo.")

    async def _hung_up(self, scene_id: str, ttl: float | None = None) -> Lease | None:
        """None if the picture was there before anybody could hang up."""
        leases: list[Lease] = []
        begun = asyncio.Event()

        def progress(event: Progress) -> None:
            if event.stage in ("queued", "rendering"):
                begun.set()

        work = self._client.render(self._data, scene_id, ttl=ttl, on_progress=progress, on_accepted=leases.append)
        rendering, waiting = asyncio.ensure_future(work), asyncio.ensure_future(begun.wait())
        try:
            await asyncio.wait({rendering, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:  # also when we are told to stop: nobody else would end them
            waiting.cancel()
            rendering.cancel()
            await asyncio.wait({rendering, waiting})
        if rendering.cancelled():
            return leases[0]
        rendering.result()
        return None


def _one_of_each_cost(scenes: Sequence[Scene]) -> list[Scene]:
    first = [next((scene for scene in scenes if scene.cost == cost), None) for cost in _COSTS]
    return [scene for scene in first if scene is not None]
