"""Ends overdue leases on time. Redis' own TTL is only the last resort: it deletes late, and writes no receipts."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Iterator

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.tasks import Tasks
from services.purge.book import Book, Entry
from services.purge.ending import Endings
from services.purge.waiting import first_of

CLEAR_EVERY = 1.0  # seconds
_AGAIN = 0.5  # seconds after which a lease that is still open is ended once more
_AT_ONCE = 250  # leases looked at without a break; 1 ms

Queue = deque[tuple[float, str]]


class Reaper:
    """A component. What it does at a time depends on what is due, not on how many leases there are."""

    def __init__(self, *, book: Book, endings: Endings, clock: Clock) -> None:
        self._book = book
        self._endings = endings
        self._clock = clock
        self._heap: list[tuple[float, str]] = []
        self._again: Queue = deque()  # those whose end has failed, and when to ask for it again
        self._late: Queue = deque()  # by deadline
        self._sooner = asyncio.Event()
        self._tasks = Tasks()
        book.opened.append(self._schedule)
        endings.unfinished.append(self._ask_again)

    async def start(self) -> None:
        self._tasks.spawn(self._watch())
        self._tasks.spawn(self._clear_up())

    async def stop(self) -> None:
        await self._tasks.cancel()

    def overdue_seconds(self) -> float:
        """By how much the oldest open lease is past its end; 0 if none is.

        Also where nobody takes off the heap what is due, and what has ended lies on top of it. From any thread.
        """
        now = self._clock.monotonic()
        passed = [*list(self._late), *self._passed(now)]
        return max((now - deadline for deadline, photo_id in passed if self._book.get(photo_id)), default=0.0)

    def _passed(self, now: float) -> Iterator[tuple[float, str]]:
        """What is on the heap and due: whoever is behind one that isn't, isn't either."""
        places = [0]
        while places:
            place = places.pop()
            try:
                deadline, photo_id = self._heap[place]
            except IndexError:  # there is none, or somebody has just taken it off
                continue
            if deadline <= now:
                yield deadline, photo_id
                places += [2 * place + 1, 2 * place + 2]

    def _schedule(self, entry: Entry) -> None:
        heapq.heappush(self._heap, (entry.deadline, entry.photo_id))
        if self._heap[0][1] == entry.photo_id:
            self._sooner.set()

    def _ask_again(self, entry: Entry) -> None:
        """Only what is overdue: the others are still on the heap."""
        now = self._clock.monotonic()
        if entry.deadline <= now:
            self._again.append((now + _AGAIN, entry.photo_id))
            self._sooner.set()

    async def _watch(self) -> None:
        """Sleeps until the next lease is due, or an even sooner one is granted."""
        while True:
            self._sooner.clear()
            self._end_due(self._clock.monotonic())
            due = [queue[0][0] for queue in (self._heap, self._again) if queue]
            if not due:
                await self._sooner.wait()
            elif (seconds := min(due) - self._clock.monotonic()) > 0:
                await first_of(self._sooner.wait(), self._clock.sleep(seconds))
            else:
                await asyncio.sleep(0)

    def _end_due(self, now: float) -> None:
        """Asks for the end of some of the leases that are due. Whoever has left meanwhile is dropped here."""
        due: list[Entry] = []
        for _ in range(_AT_ONCE):
            if self._heap and self._heap[0][0] <= now:
                deadline, photo_id = heapq.heappop(self._heap)
                self._late.append((deadline, photo_id))
            elif self._again and self._again[0][0] <= now:
                _, photo_id = self._again.popleft()
            else:
                break
            entry = self._book.get(photo_id)
            if entry is not None:
                due.append(entry)
        if due:
            self._endings.expire_all(due)
        while self._late and self._book.get(self._late[0][1]) is None:
            self._late.popleft()

    async def _clear_up(self) -> None:
        while True:
            await self._clock.sleep(CLEAR_EVERY)
            self._book.forget()
            try:
                await self._endings.clear_leftovers()
            except Unavailable:
                continue
