"""Ends overdue leases on time. Redis' own TTL is only the last resort: it deletes late, and writes no receipts."""

from __future__ import annotations

import asyncio
import heapq

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge.book import Book, Entry
from services.purge.ending import Endings
from services.purge.registry import Registry
from services.purge.waiting import first_of

SWEEP_EVERY = 1.0  # seconds
_SWEEP_LIMIT = 1000  # leases of one shard a sweep
_STRANGER_GRACE = 0.25  # seconds that whoever granted a lease has to end it, before its keys are swept
_AGAIN = 0.5  # seconds after which a lease that is still open is ended once more
_log = get_logger()


class Reaper:
    """A component."""

    def __init__(self, *, registry: Registry, book: Book, endings: Endings, clock: Clock) -> None:
        self._registry = registry
        self._book = book
        self._endings = endings
        self._clock = clock
        self._heap: list[tuple[float, str]] = []
        self._sooner = asyncio.Event()
        self._tasks = Tasks()
        book.opened.append(self._schedule)

    async def start(self) -> None:
        self._tasks.spawn(self._watch())
        self._tasks.spawn(self._sweep_on())

    async def stop(self) -> None:
        await self._tasks.cancel()

    def overdue_seconds(self) -> float:
        """By how much the oldest open lease is past its end; 0 if none is."""
        entries = [entry.deadline for entry in self._book]
        return max(0.0, self._clock.monotonic() - min(entries)) if entries else 0.0

    async def sweep(self) -> None:
        """Deletes the keys of overdue leases that owe no receipt here: they have it, or aren't this log's."""
        for photo_id in await self._registry.overdue(self._clock.wall() - _STRANGER_GRACE, _SWEEP_LIMIT):
            if self._book.get(photo_id) is None and not self._endings.is_ending(photo_id):
                await self._registry.finish(photo_id, b"", "")
                _log.info("keys_swept", photo_id=photo_id)

    def _schedule(self, entry: Entry) -> None:
        heapq.heappush(self._heap, (entry.deadline, entry.photo_id))
        if self._heap[0][1] == entry.photo_id:
            self._sooner.set()

    async def _watch(self) -> None:
        """Sleeps until the next lease is due, or an even sooner one is granted."""
        while True:
            self._sooner.clear()
            self._end_due(self._clock.monotonic())
            if self._heap:
                await first_of(self._sooner.wait(), self._clock.sleep(self._heap[0][0] - self._clock.monotonic()))
            else:
                await self._sooner.wait()

    def _end_due(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            _, photo_id = heapq.heappop(self._heap)
            if self._book.get(photo_id) is not None:
                self._endings.expire(photo_id)
                heapq.heappush(self._heap, (now + _AGAIN, photo_id))

    async def _sweep_on(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_EVERY)
            self._book.forget()
            try:
                await self._endings.clear_leftovers()
                await self.sweep()
            except Unavailable:
                continue
