"""Natural group commit: what many tasks ask of one server while a round trip is under way goes out in the next one.

A lone call waits for nothing but the end of the loop's tick. Nobody waits for a batch to fill.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.exceptions import ConnectionError as Disconnected

MAX_COMMANDS = 512  # of a batch; one group may go over it
MAX_BYTES = 2 << 20  # of a batch; one group may go over it
MAX_WAITING = 64 << 20  # bytes that may wait for their batch: 64 parked segments
IN_FLIGHT = 2  # batches: one on the wire while the next is written

Exchange = Callable[[Sequence[bytes]], Awaitable[list[Any]]]
Group = Sequence[bytes]
"""Packed commands that one caller wants in one batch, in this order."""
_Waiting = tuple[Group, int, asyncio.Future[list[Any]]]
"""A group, its bytes, and where its replies go."""


class Lane:
    """The way to one server. Batches of one lane may overtake each other; the commands of one group don't.

    exchange: one reply for each command, an exception where there is none; it must not raise.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._queue: deque[_Waiting] = deque()
        self._waiting = 0
        self._scheduled = False
        self._running: set[asyncio.Task[None]] = set()
        self._most = 0  # batches at once, at the most, since connections were rinsed
        self.round_trips = 0

    def send(self, group: Group) -> asyncio.Future[list[Any]]:
        """The group's replies. May be cancelled: what was sent is carried out all the same."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        size = sum(map(len, group))
        if self._waiting + size > MAX_WAITING:
            future.set_result([Disconnected("too much waits for this server")] * len(group))
            return future
        self._waiting += size
        self._queue.append((group, size, future))
        if not self._scheduled and len(self._running) < IN_FLIGHT:
            self._scheduled = True
            loop.call_soon(self._flush)
        return future

    async def rinse(self, group: Group) -> list[Any]:
        """The group over as many connections as batches were under way at once since the last time: each its own.

        All replies. Where one is an exception, the next rinse takes as many.
        """
        most, self._most = max(1, self._most), len(self._running)
        each = await asyncio.gather(*(self._exchange(group) for _ in range(most)))
        replies = [reply for some in each for reply in some]
        if any(isinstance(reply, Exception) for reply in replies):
            self._most = max(self._most, most)
        return replies

    async def idle(self, within: float) -> None:
        """Waits until nothing is under way, for so many seconds at most."""
        while self._running:
            _, late = await asyncio.wait(set(self._running), timeout=within)
            if late:
                return

    def _flush(self) -> None:
        self._scheduled = False
        while self._queue and len(self._running) < IN_FLIGHT:
            task = asyncio.ensure_future(self._run(self._take()))
            self._running.add(task)
            self._most = max(self._most, len(self._running))
            task.add_done_callback(self._done)

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        count = total = 0
        while self._queue:
            group, size, _ = self._queue[0]
            count, total = count + len(group), total + size
            if batch and (count > MAX_COMMANDS or total > MAX_BYTES):
                break
            batch.append(self._queue.popleft())
            self._waiting -= size
        return batch

    async def _run(self, batch: list[_Waiting]) -> None:
        self.round_trips += 1
        replies = await self._exchange([packed for group, _, _ in batch for packed in group])
        start = 0
        for group, _, future in batch:
            end = start + len(group)
            if not future.done():
                future.set_result(replies[start:end])
            start = end
        if replies and isinstance(replies[-1], Disconnected):
            self._give_up(replies[-1])

    def _give_up(self, error: Disconnected) -> None:
        """Whoever waits behind a dead server would wait for its timeout once more; nothing of theirs was sent."""
        while self._queue:
            group, size, future = self._queue.popleft()
            self._waiting -= size
            if not future.done():
                future.set_result([error] * len(group))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._flush()
