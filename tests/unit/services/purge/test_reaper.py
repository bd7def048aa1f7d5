"""The reaper's schedule, by a clock that only the test moves."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from typing import Any, cast

from services.purge.book import Book, Entry
from services.purge.ending import Endings
from services.purge.reaper import Reaper


class ManualClock:
    """Time stands still until ``advance``."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._sleepers, (self.now + seconds, id(future), future))
            await future

    async def advance(self, seconds: float) -> None:
        """Wakes every sleeper at its own moment."""
        end = self.now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await self._settle()
        self.now = end
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


class Ends:
    """Stands in for the endings: notes when it was asked to end what."""

    def __init__(self, clock: ManualClock, book: Book) -> None:
        self.asked: list[tuple[float, str]] = []
        self._clock = clock
        self._book = book
        self.works = True
        self.unfinished: list[Callable[[Entry], None]] = []

    def expire_all(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.asked.append((self._clock.now, entry.photo_id))
            if self.works:
                self._book.close(entry, entry.lease)
            else:
                for callback in self.unfinished:
                    callback(entry)

    def is_ending(self, photo_id: str) -> bool:
        return False

    async def clear_leftovers(self) -> None: ...


class Nothing:
    """A registry in which nothing is due."""

    async def overdue(self, now: float, limit: int) -> list[str]:
        return []


def make(clock: ManualClock) -> tuple[Book, Ends, Reaper]:
    book = Book(clock)
    ends = Ends(clock, book)
    reaper = Reaper(book=book, endings=cast(Endings, cast(Any, ends)), clock=clock)
    return book, ends, reaper


async def test_each_lease_is_ended_at_its_moment_in_whatever_order_they_came() -> None:
    clock = ManualClock()
    book, ends, reaper = make(clock)
    await reaper.start()
    for photo_id, ttl in [("c", 30.0), ("a", 10.0), ("b", 20.0)]:
        book.open(photo_id, clock.now + ttl)
        await clock.advance(1)
    await clock.advance(60)
    assert ends.asked == [(1011.0, "a"), (1022.0, "b"), (1030.0, "c")]
    await reaper.stop()


async def test_a_sooner_lease_wakes_it() -> None:
    clock = ManualClock()
    book, ends, reaper = make(clock)
    await reaper.start()
    book.open("late", clock.now + 300)
    await clock.advance(5)
    book.open("soon", clock.now + 1)
    await clock.advance(1)
    assert ends.asked == [(1006.0, "soon")]
    await reaper.stop()


async def test_an_end_that_did_not_come_about_is_asked_for_again() -> None:
    clock = ManualClock()
    book, ends, reaper = make(clock)
    ends.works = False
    await reaper.start()
    book.open("a", clock.now + 1)
    await clock.advance(2.2)
    assert [at for at, _ in ends.asked] == [1001.0, 1001.5, 1002.0]
    assert 1.1 < reaper.overdue_seconds() < 1.3
    ends.works = True
    await clock.advance(10)
    assert len(ends.asked) == 4
    assert reaper.overdue_seconds() == 0
    await reaper.stop()


async def test_a_lease_that_ended_in_time_is_left_alone() -> None:
    clock = ManualClock()
    book, ends, reaper = make(clock)
    await reaper.start()
    entry = book.open("a", clock.now + 10)
    await clock.advance(5)
    book.close(entry, entry.lease)
    await clock.advance(30)
    assert ends.asked == []
    await reaper.stop()


async def test_a_waiter_wakes_at_a_change_or_at_its_deadline() -> None:
    clock = ManualClock()
    book = Book(clock)
    entry = book.open("a", clock.now + 100)
    book.change(entry, entry.lease.hold("ingest/i/e", 1))
    waits = [asyncio.create_task(book.wait(entry, lambda lease: not lease.holders, clock.now + s)) for s in (5, 20)]
    await clock.advance(10)
    assert [w.done() and w.result() for w in waits] == [False, False]
    assert waits[0].done()
    book.change(entry, entry.lease.release("ingest/i/e", 2, 1))
    await clock.advance(0)
    assert waits[1].result() is True


async def test_an_overdue_lease_shows_although_the_reaper_is_dead_and_others_ended_before_it() -> None:
    """Nobody takes what is due off the heap then; on top of it lies a lease that was delivered long ago."""
    clock = ManualClock()
    book, _, reaper = make(clock)
    delivered = book.open("delivered", clock.now + 1)
    for number in range(5):
        book.open(f"later-{number}", clock.now + 10 + number)
    book.close(delivered, delivered.lease)
    await clock.advance(9)
    assert reaper.overdue_seconds() == 0
    await clock.advance(3.5)
    assert reaper.overdue_seconds() == 2.5
