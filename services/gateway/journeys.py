"""Journeys that outlive their calls, brought to an end at the stop."""

from __future__ import annotations

from mesh.log import get_logger
from mesh.tasks import Tasks

_log = get_logger()


class Journeys:
    """A component. By the time that it stops, the server has drained: what still runs has no client any more."""

    def __init__(self, tasks: Tasks, seconds: float) -> None:
        self._tasks = tasks
        self._seconds = seconds

    async def start(self) -> None:
        """Journeys begin with calls."""

    async def stop(self) -> None:
        """Lets them park for so long, then ends them; each revokes its lease."""
        if not await self._tasks.wait(self._seconds):
            _log.warning("journeys_cut_short", count=len(self._tasks))
            await self._tasks.cancel()
            await self._tasks.wait(self._seconds)
