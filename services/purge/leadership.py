"""Which replica is the leader: the one that looks after what nobody else does (adoption, leftover keys).

Its term is the fencing token: it is larger than every earlier leader's, and what an earlier one does late is refused.
The leader counts its time by its own clock and stops leading before the registry lets another one.
"""

from __future__ import annotations

import contextlib

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge.registry import Registry

EVERY = 1.0  # seconds between two campaigns
TTL = 3.0  # seconds that a leader leads without renewing it
_MARGIN = 0.5  # seconds by which clocks may be off
_log = get_logger()


class Leadership:
    """A component. term: of whoever leads now, as far as is known."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._tasks = Tasks()
        self._until = float("-inf")
        self._led = False
        self.term = 0

    @property
    def leads(self) -> bool:
        return self._clock.monotonic() < self._until

    async def start(self) -> None:
        await self.campaign()
        self._tasks.spawn(self._keep_campaigning())

    async def stop(self) -> None:
        """Another one may lead at once."""
        await self._tasks.cancel()
        if self.leads:
            self._until = float("-inf")
            with contextlib.suppress(Unavailable):
                await self._registry.resign()

    async def campaign(self) -> None:
        """Takes or renews the leadership if nobody else has it."""
        sent = self._clock.monotonic()
        try:
            found = await self._registry.campaign(self._clock.wall(), TTL)
        except Unavailable:
            return  # leads on until its time is over
        self.term = found.term
        self._until = sent + TTL - _MARGIN if found.leader == self._registry.home else float("-inf")
        if self.leads != self._led:
            self._led = self.leads
            _log.info("leader_changed", state="leader" if self._led else "follower", sequence=self.term)

    async def _keep_campaigning(self) -> None:
        while True:
            await self._clock.sleep(EVERY)
            await self.campaign()
