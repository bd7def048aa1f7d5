"""Ends overdue leases that nobody holds, many at a time: first all their keys go, then their receipts are made.

A grant that comes meanwhile waits for one slice of the work at most. A crash in between leaves grants without a receipt
in the log, whose keys are gone: they get it at the next start.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.tasks import Tasks
from mesh.transparency.dsse import Envelope
from services.purge.book import Book, Entry
from services.purge.closing import Closing
from services.purge.fence import Fence
from services.purge.lease import End, Lease, Outcome
from services.purge.ledger import Logged
from services.purge.receipt import Receipt
from services.purge.registry import GRACE, Registry, Reply
from services.purge.writer import Writer

CLEARED_AT_ONCE = 256  # leases in one round trip; 5 ms of the registry
LOGGED_AT_ONCE = 512  # receipts in one piece
MOST_OWED = 200_000  # receipts that may wait for the clearing to be done
_SLICE = 32  # receipts made and signed without a break; 3 ms of the event loop

Alone = Callable[[Entry, bool], asyncio.Task[Logged]]
Done = Callable[[Entry, Logged | None], None]


class Expiry:
    """alone: ends one lease the long way; True if the registry has just not answered.

    done: called with each lease that left, and its receipt if it has one.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        book: Book,
        closing: Closing,
        writer: Writer,
        fence: Fence,
        clock: Clock,
        alone: Alone,
        done: Done,
    ) -> None:
        self._registry = registry
        self._book = book
        self._closing = closing
        self._writer = writer
        self._fence = fence
        self._clock = clock
        self._alone = alone
        self._done = done
        self._tasks = Tasks()
        self._due: deque[Entry] = deque()
        self._cleared: deque[tuple[Entry, Lease, End]] = deque()
        self._clearing: asyncio.Task[None] | None = None
        self._logging: asyncio.Task[None] | None = None

    def add(self, entries: Sequence[Entry]) -> None:
        self._due.extend(entries)
        if self._due and (self._clearing is None or self._clearing.done()):
            self._clearing = self._tasks.spawn(self._clear())

    async def settled(self, seconds: float) -> None:
        """Waits for what is under way."""
        await self._tasks.wait(seconds)

    async def stop(self) -> None:
        """What is under way is taken up again after the restart."""
        await self._tasks.cancel()

    async def _clear(self) -> None:
        while self._due:
            if len(self._cleared) > MOST_OWED:
                self._begin_to_log()
            batch = [self._due.popleft() for _ in range(min(CLEARED_AT_ONCE, len(self._due)))]
            try:
                replies = await self._registry.end_all_if_released([entry.photo_id for entry in batch])
            except Unavailable:
                # All at once would be too many for a registry that comes back.
                await asyncio.wait([self._end_alone(entry, away=True) for entry in batch])
                continue
            end = End(Outcome.EXPIRED, "overdue", self._clock.wall())
            for entry, reply in zip(batch, replies, strict=True):
                if self._is_cleared(entry, reply, end.at):
                    self._cleared.append((entry, entry.lease, end))
                else:
                    self._end_alone(entry, away=False)
        self._begin_to_log()

    def _begin_to_log(self) -> None:
        if self._cleared and (self._logging is None or self._logging.done()):
            self._logging = self._tasks.spawn(self._log())

    def _is_cleared(self, entry: Entry, reply: Reply, now: float) -> bool:
        """Whether only the receipt is left to be made. GONE: either Redis' own clock was first, or it has lost it."""
        if reply is not Reply.GONE:
            return reply is Reply.OK
        # Without a grant it may have ended otherwise before a restart, and owe another receipt.
        is_known = entry.grant is not None and not entry.doubtful
        return is_known and now > entry.expire + GRACE and self._fence.is_certain(entry)

    def _end_alone(self, entry: Entry, *, away: bool) -> asyncio.Task[Logged]:
        task = self._alone(entry, away)
        task.add_done_callback(lambda t: self._done(entry, None if t.cancelled() or t.exception() else t.result()))
        return task

    async def _log(self) -> None:
        while self._cleared:
            cleared = [self._cleared.popleft() for _ in range(min(LOGGED_AT_ONCE, len(self._cleared)))]
            batch = [(entry, lease.decide(end).conclude(), end) for entry, lease, end in cleared]
            receipts, envelopes = await self._sign(batch)
            logged = await self._closing.log(envelopes, receipts)
            kept: dict[str, bytes] = {}
            for (entry, lease, end), mine in zip(batch, logged, strict=True):
                self._closing.close(entry, lease, end)
                self._closing.over(entry, end)
                self._writer.drop(entry.photo_id)
                if entry.grant is not None:
                    self._writer.disown(entry.grant.owner, entry.photo_id)
                self._done(entry, mine)
                kept[entry.photo_id] = mine.to_bytes()
            try:
                await self._registry.finish_all(kept)
            except Unavailable:
                continue  # the log has them

    async def _sign(self, batch: Sequence[tuple[Entry, Lease, End]]) -> tuple[list[Receipt], list[Envelope]]:
        receipts: list[Receipt] = []
        envelopes: list[Envelope] = []
        for at in range(0, len(batch), _SLICE):
            made = [self._closing.receipt(entry, lease, end) for entry, lease, end in batch[at : at + _SLICE]]
            receipts += made
            envelopes += await self._closing.sign(made)
            await asyncio.sleep(0)
        return receipts, envelopes
