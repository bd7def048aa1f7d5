"""The operator's big red button: every open lease of this replica ends, and its progress can be watched."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge.book import Book, Entry, service_of
from services.purge.closing import Holders
from services.purge.ending import Endings
from services.purge.grants import Grants
from services.purge.lease import ENDED, LIVE
from services.purge.metrics import PurgeMetrics
from services.purge.pause import Pause
from services.purge.unconfirmed import Irrevocable

_WORKERS = 256  # ends that are being decided at a time; those that only wait for holders don't count
_AGAIN = 1.0  # seconds until an end that could not be decided is tried again
_LOOK = 0.25  # seconds between two looks at what is left
_log = get_logger()


@dataclass(frozen=True, slots=True)
class Progress:
    """As in operator.proto. waiting: by service."""

    total: int
    ended: int = 0
    elsewhere: int = 0
    waiting: Mapping[str, int] | None = None
    irrevocable: int = 0
    done: bool = False


class Operator:
    """What only an operator may do."""

    def __init__(
        self,
        *,
        book: Book,
        endings: Endings,
        holders: Holders,
        grants: Grants,
        pause: Pause,
        clock: Clock,
        metrics: PurgeMetrics,
    ) -> None:
        self._book = book
        self._endings = endings
        self._holders = holders
        self._grants = grants
        self._pause = pause
        self._clock = clock
        self._metrics = metrics
        self._tasks = Tasks()

    @property
    def open_leases(self) -> int:
        return len(self._book)

    def irrevocable(self) -> list[Irrevocable]:
        """The oldest first."""
        return self._book.unconfirmed.irrevocable()

    def pause(self, seconds: float) -> float | None:
        """Refuses new leases for so long; until when, Unix seconds, None for not at all. Invalid."""
        self._pause.begin(seconds)
        _log.warning("operator_pause", seconds=seconds)
        return self._clock.wall() + seconds if seconds else None

    async def purge_all(self) -> AsyncIterator[Progress]:
        """Presses the button. What has begun goes on, whether or not anybody watches."""
        self._metrics.operator_purges.inc()
        await self._grants.admitted()  # a lease that was asked for before is one of them
        press = _Press(self._book)
        _log.warning("operator_purge", state="begun", count=press.progress.total)
        self._tasks.spawn(self._end_all(press))
        while not press.look().done:
            yield press.progress
            await self._clock.sleep(_LOOK)
        yield press.progress

    async def stop(self) -> None:
        """Leases that have not ended are ended at their expiry, or after the restart."""
        await self._tasks.cancel()

    async def _end_all(self, press: _Press) -> None:
        queue, told = deque(press.left.values()), set[str]()
        while queue:
            failed: list[Entry] = []
            await asyncio.gather(*[self._work(queue, failed) for _ in range(min(_WORKERS, len(queue)))])
            if failed:
                self._tell(failed, told)
                await self._clock.sleep(_AGAIN)
            queue.extend(failed)
        while not press.look().done:
            await self._clock.sleep(_LOOK)
        end = press.progress
        _log.warning("operator_purge", state="done", count=end.ended, size=end.irrevocable)

    def _tell(self, entries: list[Entry], told: set[str]) -> None:
        """What can't be decided before the leases' end can be let go of all the same."""
        for entry in entries:
            if entry.photo_id not in told:
                told.add(entry.photo_id)
                self._holders.revoke(entry.photo_id, entry.expire)

    async def _work(self, queue: deque[Entry], failed: list[Entry]) -> None:
        while queue:
            entry = queue.popleft()
            if self._book.get(entry.photo_id) is entry and not await self._decided(entry):
                failed.append(entry)
                if not self._endings.registry_up:  # the others would only wait for the same time-out, one by one
                    failed.extend(queue)
                    queue.clear()

    async def _decided(self, entry: Entry) -> bool:
        """Begins the lease's end, and waits until it is decided; False if it could not be."""
        ending = self._endings.take_back(entry)
        decided = asyncio.ensure_future(self._book.wait(entry, lambda lease: lease.state not in LIVE, entry.deadline))
        waits: set[asyncio.Future[Any]] = {ending, decided}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            decided.cancel()
        if not ending.done():
            return True
        return not ending.cancelled() and not isinstance(ending.exception(), MeshError)


class _Press:
    """What was open when the button was pressed, and what has become of it."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._all = {entry.photo_id for entry in book}
        self.left = {entry.photo_id: entry for entry in book}
        self._elsewhere = 0
        self.progress = Progress(len(self.left))

    def look(self) -> Progress:
        """Brings ``progress`` up to date."""
        gone = [entry for photo_id, entry in self.left.items() if self._book.get(photo_id) is not entry]
        for entry in gone:
            del self.left[entry.photo_id]
            self._elsewhere += entry.lease.state not in ENDED
        total, waiting = len(self._all), Counter[str]()
        for entry in self.left.values():
            waiting.update({service_of(holder) for holder in entry.lease.holders})
        stuck = {photo_id for photo_id, _ in self._book.unconfirmed if photo_id in self._all}
        ended = total - len(self.left) - self._elsewhere
        self.progress = Progress(total, ended, self._elsewhere, dict(waiting), len(stuck), done=not self.left)
        return self.progress
