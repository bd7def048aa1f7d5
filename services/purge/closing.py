"""The last steps of every end: the receipt, its place in the log, and the lease's leave from purge's view."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import get_logger
from mesh.transparency.dsse import Envelope
from services.purge import statement
from services.purge.book import Book, Entry
from services.purge.lease import End, Lease
from services.purge.ledger import Ledger, Logged
from services.purge.metrics import PurgeMetrics
from services.purge.receipt import Receipt
from services.purge.residency import Residency
from services.purge.statement import Profile

_RETRY = 1.0  # seconds between attempts at a log that is away
_log = get_logger()
T = TypeVar("T")


class Holders(Protocol):
    """The custody stream, as seen from here."""

    def revoke(self, photo_id: str, expire: float) -> None:
        """Tells every process that is connected to drop the photo and take nothing of it."""

    def profile(self, holder: str) -> Profile | None: ...


class Closing:
    """``unlogged`` counts receipts that the log has refused so far; they are tried again."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        book: Book,
        holders: Holders,
        residency: Residency,
        clock: Clock,
        metrics: PurgeMetrics,
    ) -> None:
        self._ledger = ledger
        self._book = book
        self._holders = holders
        self._residency = residency
        self._clock = clock
        self._metrics = metrics
        self.unlogged = 0

    def receipt(self, entry: Entry, lease: Lease, end: End, expected: Iterable[str] = ()) -> Receipt:
        """What is to be signed of a concluded lease. expected: holders that were named for it."""
        profiles = {holder: p for holder in lease.custody if (p := self._holders.profile(holder)) is not None}
        return statement.make(
            entry, lease, end, profiles=profiles, expected=expected,
            ended=self._clock.wall(), now=self._clock.monotonic(),
        )  # fmt: skip

    async def owed(self, step: Awaitable[T]) -> T:
        """A step between a receipt's signature and the log."""
        self.unlogged += 1
        try:
            return await step
        finally:
            self.unlogged -= 1

    async def sign(self, receipts: Sequence[Receipt]) -> list[Envelope]:
        """For ``log``, however often that takes."""
        return await self._insist(lambda: self._ledger.sign_all(receipts), len(receipts))

    async def log(self, envelopes: Sequence[Envelope], receipts: Sequence[Receipt]) -> list[Logged]:
        """Logs receipts that are signed, however often that takes."""
        return await self._insist(lambda: self._ledger.record_all(envelopes, receipts), len(receipts))

    def close(self, entry: Entry, lease: Lease, end: End) -> None:
        """The lease has its receipt. A holder that came meanwhile must let go of what the receipt doesn't know."""
        late = entry.lease.holders - lease.custody.keys()
        self._book.close(entry, lease)
        if late:
            self._holders.revoke(entry.photo_id, entry.expire)
        self._metrics.ended.labels(end.outcome.value, end.reason).inc()
        self._metrics.receipts.labels(end.outcome.value).inc()

    def was_due(self, entry: Entry, at: float) -> None:
        """Its end was decided before, by another process. at: Unix seconds."""
        entry.due = min(entry.due, self._clock.monotonic() - max(0.0, self._clock.wall() - at))

    def over(self, entry: Entry, end: End, receipted: float = math.inf) -> None:
        """Its keys are gone, too. receipted: when ``close`` was called, monotonic, if not just now."""
        clocks_apart = entry.deadline - entry.expire  # as they were when the entry was made
        self._residency.over(
            end.outcome.value,
            granted=entry.grant.granted + clocks_apart if entry.grant else None,
            due=entry.due,
            expire=entry.deadline,
            now=self._clock.monotonic(),
            receipted=receipted,
        )

    async def _insist(self, record: Callable[[], Awaitable[T]], count: int = 1) -> T:
        """Until the log takes it: a receipt is owed."""
        self.unlogged += count
        try:
            while True:
                try:
                    return await record()
                except Unavailable as error:
                    _log.error("receipt_not_logged", reason=error.reason)
                await self._clock.sleep(_RETRY)
        finally:
            self.unlogged -= count
