"""That this replica lives, said to the others through the registry; and which of the others do.

Each process says so once a second, with a token of its own, for three seconds. What a replica that is out of sight
keeps may be adopted by the others. So whoever was out of sight looks, before it ends a lease, whether it is still its.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge.registry import Registry

EVERY = 1.0  # seconds between two beats
TTL = 3.0  # seconds that a beat counts
_MARGIN = 0.5  # seconds by which clocks and round trips may be off
_STEADY = 2.0  # seconds of regular beats before the absence of another replica means anything
_LATE = 2 * EVERY  # seconds between two beats that aren't regular
_log = get_logger()


class Presence:
    """A component. address: where this replica serves, for people who look.

    certain_since: since when it has been in sight without a gap, monotonic; nobody can have adopted what it has taken
    since then. returned: awaited after each gap.
    """

    def __init__(self, registry: Registry, clock: Clock, address: str = "") -> None:
        self._registry = registry
        self._clock = clock
        self._address = address or "-"
        self._token = secrets.token_hex(8)
        self._tasks = Tasks()
        self._beating = asyncio.Lock()
        self._last: float | None = None
        self._missed = False
        self._steady_since = float("inf")
        self.certain_since = float("inf")
        self.returned: list[Callable[[], Coroutine[Any, Any, None]]] = []

    async def start(self) -> None:
        await self.beat()
        self._tasks.spawn(self._keep_beating())

    async def stop(self) -> None:
        """The others take over at once what this replica leaves."""
        await self._tasks.cancel()
        if self._last is not None:
            with contextlib.suppress(Unavailable):
                await self._registry.retire()

    async def beat(self) -> bool:
        """One beat; False when the registry is away."""
        async with self._beating:
            sent = self._clock.monotonic()
            try:
                kept = await self._registry.beat(self._token, self._address, TTL)
            except Unavailable:
                self._missed, self._steady_since = True, float("inf")
                return False
            self._note(kept, sent, self._clock.monotonic())
            return True

    async def is_certain(self, taken: float) -> bool:
        """Whether nobody can have adopted what this replica has taken at ``taken`` (monotonic). Raises Unavailable."""
        if not self._is_in_sight() and not await self.beat():
            raise Unavailable("REGISTRY_UNAVAILABLE", "The registry's Redis is away; try again.", retry_after=1)
        return taken >= self.certain_since

    def was_in_sight(self, taken: float) -> bool:
        """``is_certain``, as far as is known without a question."""
        return self._is_in_sight() and taken >= self.certain_since

    async def dead(self, names: Iterable[str]) -> set[str]:
        """Which of these replicas have not beaten lately, and not because the registry was away or lost their beats.

        Raises Unavailable.
        """
        others = [name for name in names if name != self._registry.home]
        if not others or self._clock.monotonic() - self._steady_since < _STEADY or not self._is_in_sight():
            return set()
        # Their keys are in one slot with ours: while ours is there, theirs were not lost either.
        alive = await self._registry.alive([*others, self._registry.home])
        if not alive[self._registry.home]:
            return set()
        return {name for name in others if not alive[name]}

    def _note(self, kept: bool, sent: float, now: float) -> None:
        gap = float("inf") if self._last is None else now - self._last
        if not kept or gap > _LATE or self._steady_since == float("inf"):
            self._steady_since = now
        if not kept and gap >= TTL - _MARGIN:
            self.certain_since = now
        if not kept and (self._last is not None or self._missed):
            # Also without a gap: the registry has then lost the beat, and perhaps more.
            _log.warning("replica_returned", seconds=round(min(gap, 1e6), 1))
            for callback in self.returned:
                self._tasks.spawn(callback())
        self._last, self._missed = sent, False

    def _is_in_sight(self) -> bool:
        return self._last is not None and self._clock.monotonic() - self._last < TTL - _MARGIN

    async def _keep_beating(self) -> None:
        while True:
            await self._clock.sleep(EVERY)
            await self.beat()
