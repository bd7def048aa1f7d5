"""Photos for a mesh that is watched: several scenes, and every way in which a photo can end, a few at a time."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from PIL import Image

from clients.demo import sample
from clients.sdk.client import MayflyClient
from clients.sdk.results import Lease, Progress, Scene
from mesh.errors import Invalid, MeshError

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

        async def one(name: str, end: Callable[[str], Awaitable[None]], scene: Scene) -> None:
            async with places:
                await self._one(name, end, scene.scene_id)

        await asyncio.gather(*(one(name, end, next(scenes)) for name, end in self._endings()))

    async def forever(self, tell: Callable[[str, str], None] = lambda ending, scene: None) -> None:
        """One photo after the other, with pauses, of all scenes in turn, until it is cancelled."""
        scenes = itertools.cycle(self._all)
        while True:
            for name, end in self._endings():
                scene = next(scenes)
                tell(name, scene.title)
                await self._one(name, end, scene.scene_id)
                await asyncio.sleep(_PAUSE)

    def _endings(self) -> Sequence[tuple[str, Callable[[str], Awaitable[None]]]]:
        return (
            ("delivered", self._delivered),
            ("expired", self._expired),
            ("delivered", self._delivered),
            ("collected", self._collected),
            ("revoked", self._revoked),
            ("delivered", self._delivered),
            ("refused", self._refused),
        )

    async def _one(self, name: str, end: Callable[[str], Awaitable[None]], scene_id: str) -> None:
        try:
            await end(scene_id)
        except MeshError as error:
            self.failed[error.reason] += 1
        else:
            self.ended[name] += 1

    async def _delivered(self, scene_id: str) -> None:
        await self._client.render(self._data, scene_id)

    async def _collected(self, scene_id: str) -> None:
        """A phone that hangs up while its picture is made, and comes back for it."""
        lease = await self._hung_up(scene_id)
        if lease is not None:
            await self._client.collect_when_parked(lease)

    async def _revoked(self, scene_id: str) -> None:
        """A family that takes its photo back while the picture is made."""
        lease = await self._hung_up(scene_id)
        if lease is not None:
            await self._client.revoke(lease.photo_id)

    async def _expired(self, scene_id: str) -> None:
        """A phone that hangs up and never comes back: its picture waits until the lease is over."""
        await self._hung_up(scene_id, ttl=_SHORT)

    async def _refused(self, scene_id: str) -> None:
        """What says that it is a photo, and is none."""
        with contextlib.suppress(Invalid):
            await self._client.render(self._data[:2] + b"not a photo" * 99, scene_id)

    async def _hung_up(self, scene_id: str, ttl: float | None = None) -> Lease | None:
        """None if the picture was there before anybody could hang up."""
        leases: list[Lease] = []
        begun = asyncio.Event()

        def progress(event: Progress) -> None:
            if event.stage in ("queued", "rendering"):
                begun.set()

        work = self._client.render(self._data, scene_id, ttl=ttl, on_progress=progress, on_accepted=leases.append)
        rendering, waiting = asyncio.ensure_future(work), asyncio.ensure_future(begun.wait())
        await asyncio.wait({rendering, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if rendering.done():
            rendering.result()
            return None
        rendering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await rendering
        return leases[0]


def _one_of_each_cost(scenes: Sequence[Scene]) -> list[Scene]:
    first = [next((scene for scene in scenes if scene.cost == cost), None) for cost in _COSTS]
    return [scene for scene in first if scene is not None]
