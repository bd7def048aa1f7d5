"""Custody on its way to the registry: reports of all holders together, in few round trips.

Purge's own view has a report at once; the registry gets it within 20 ms, or as soon as 64 wait. A report stays here
until the registry has it. A photo's end takes its photo's reports along and makes them superfluous here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge.registry import Registry, Report

WITHIN = 0.02  # seconds that a report may wait for others
MANY = 64  # reports that don't wait any longer
_MOST = 512  # photos in one round trip
_RETRY = 0.5  # seconds between attempts at a registry that is away
_log = get_logger()


@dataclass(slots=True)
class Waiting:
    """One report. told: called with the lease's state, once the registry has the report; None if its end took it."""

    report: Report
    told: Callable[[str | None], None]


class Writer:
    """``disown`` rides along: whose an ended lease was is forgotten with the next round trip."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._tasks = Tasks()
        self._waiting: dict[str, list[Waiting]] = {}
        self._count = 0
        self._under_way: dict[str, list[Waiting]] = {}
        self._disowned: dict[str, list[str]] = {}
        self._pause: asyncio.Future[None] | None = None
        self._writing = False

    def add(self, report: Report, told: Callable[[str | None], None]) -> None:
        self._waiting.setdefault(report.photo_id, []).append(Waiting(report, told))
        self._count += 1
        if self._count >= MANY and self._pause is not None:
            self._pause.cancel()
        self._begin()

    def pending(self, photo_id: str) -> list[Report]:
        """What the registry may not have yet of a photo, in its order."""
        found = [*self._under_way.get(photo_id, ()), *self._waiting.get(photo_id, ())]
        return [waiting.report for waiting in found]

    def drop(self, photo_id: str) -> None:
        """The lease has ended in the registry: there is nothing left to write of it."""
        dropped = self._waiting.pop(photo_id, ())
        self._count -= len(dropped)
        for waiting in dropped:
            waiting.told(None)
        if dropped:
            self._begin()

    def disown(self, owner: str, photo_id: str) -> None:
        """The lease has ended; ``owner`` is its pseudonym."""
        self._disowned.setdefault(owner, []).append(photo_id)
        self._begin()

    async def stop(self) -> None:
        """One last attempt. Holders send again what was not acknowledged."""
        await self._tasks.cancel()
        try:
            await self._write_once()
        except Unavailable:
            _log.warning("registry_behind", count=self._count)

    def _begin(self) -> None:
        if not self._writing:
            self._writing = True
            self._tasks.spawn(self._write())

    async def _write(self) -> None:
        try:
            while True:
                await self._gather()
                try:
                    await self._write_once()
                except Unavailable:
                    await self._clock.sleep(_RETRY)
                if not self._waiting and not self._disowned:
                    return
        finally:
            self._writing = False

    async def _gather(self) -> None:
        """Until others have had their time to come along, or many are here."""
        if self._count >= MANY:
            return
        self._pause = asyncio.ensure_future(self._clock.sleep(WITHIN))
        try:
            await asyncio.wait([self._pause])
        finally:
            self._pause.cancel()
            self._pause = None

    async def _write_once(self) -> None:
        """Everything that waits now. Raises Unavailable; what was not written then waits on, before what is newer."""
        disowned, self._disowned = self._disowned, {}
        while self._waiting or disowned:
            mine = self._under_way = {p: self._waiting.pop(p) for p in list(islice(self._waiting, _MOST))}
            self._count -= sum(map(len, mine.values()))
            try:
                states = await self._registry.custody([w.report for ws in mine.values() for w in ws], disowned)
            except BaseException:
                self._put_back(mine, disowned)
                raise
            finally:
                self._under_way = {}
            disowned = {}
            for photo_id, written in mine.items():
                for waiting in written:
                    waiting.told(states[photo_id])

    def _put_back(self, unwritten: dict[str, list[Waiting]], disowned: dict[str, list[str]]) -> None:
        self._count += sum(map(len, unwritten.values()))
        for photo_id, newer in self._waiting.items():
            unwritten.setdefault(photo_id, []).extend(newer)
        self._waiting = unwritten
        for owner, photo_ids in disowned.items():
            self._disowned.setdefault(owner, [])[:0] = photo_ids
