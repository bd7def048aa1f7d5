"""Group commit: callers that append while a sync is under way share the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.transparency.tiles import MAX_ENTRY
from services.purge.log_store import Journal

MAX_BATCH = 1024  # entries a sync, unless one caller brings more
MAX_BACKLOG = 64 << 20  # bytes that may wait for integration; beyond them no grant is logged, so none is given


@dataclass(frozen=True, slots=True)
class Batch:
    """What one caller appends in one piece. facts: for the accountant, one of each entry or none at all."""

    entries: list[bytes]
    facts: Sequence[object]
    future: asyncio.Future[int]


class GroupCommit:
    """Belongs to one event loop. ``sync_seconds`` are called with the duration of each commit.

    backlog: bytes that were added and are not under a checkpoint; whoever integrates takes them off.
    """

    def __init__(self, journal: Journal, clock: Clock, durable: Callable[[int, Sequence[Batch]], None]) -> None:
        """durable: is told, on the loop and in the log's order, of batches that are on the disk from an index on."""
        self.backlog = 0
        self.sync_seconds: list[Callable[[float], None]] = []
        self._journal = journal
        self._clock = clock
        self._durable = durable
        self._queue: deque[Batch] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "log-sync")

    async def add(self, entries: list[bytes], facts: Sequence[object]) -> int:
        """Makes them durable in one piece; returns the first one's index. Raises as ``Log.append``."""
        if max(map(len, entries)) > MAX_ENTRY:
            raise ValueError(f"a log entry has at most {MAX_ENTRY} bytes")
        if self._journal.broken:
            raise Unavailable("LOG_CLOSED", "The receipt log accepts no entries; restart purge once its disk works.")
        if self.backlog > MAX_BACKLOG:
            raise Unavailable("LOG_BEHIND", "The receipt log can't integrate; check its disk, then try again.")
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append(Batch(entries, facts, future))
        self.backlog += sum(map(len, entries))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return await future

    async def close(self) -> None:
        """Finishes what was added."""
        if self._committing is not None:
            await asyncio.wait([self._committing])
        self._thread.shutdown()

    async def _commit_all(self) -> None:
        try:
            while self._queue:
                await self._commit(self._next())
        finally:
            self._committing = None

    def _next(self) -> list[Batch]:
        """As many of the waiting batches as one sync takes, at least one."""
        batches = [self._queue.popleft()]
        count = len(batches[0].entries)
        while self._queue and count + len(self._queue[0].entries) <= MAX_BATCH:
            batches.append(self._queue.popleft())
            count += len(batches[-1].entries)
        return batches

    async def _commit(self, batches: list[Batch]) -> None:
        entries = [entry for batch in batches for entry in batch.entries]
        began = self._clock.monotonic()
        try:
            first = await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.append, entries)
        except BaseException as error:
            self.backlog -= sum(map(len, entries))
            _refuse(batches)
            if isinstance(error, OSError):
                return
            raise
        self._durable(first, batches)
        for batch in batches:
            if not batch.future.done():
                batch.future.set_result(first)
            first += len(batch.entries)
        for callback in self.sync_seconds:
            callback(self._clock.monotonic() - began)


def _refuse(batches: list[Batch]) -> None:
    for batch in batches:
        if not batch.future.done():
            batch.future.set_exception(Unavailable("LOG_DISK", "The receipt log's disk refused a write; check it."))
