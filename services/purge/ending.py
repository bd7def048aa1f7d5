"""The one place where a lease ends, whoever asks: decide, tell the holders, wait for them, receipt, delete.

The end is decided atomically in the registry, and the first decision stands. One task per photo carries it out;
everybody else who wants this lease to end joins it. A registry that is away keeps nobody from the receipt at the
lease's expiry: the log and purge's own view are enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from mesh.clock import Clock
from mesh.errors import NotFound, Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge import statement
from services.purge.book import Book, Entry, merged
from services.purge.lease import End, Lease, Outcome
from services.purge.ledger import Ledger, Logged
from services.purge.metrics import PurgeMetrics
from services.purge.registry import Registry
from services.purge.statement import Profile
from services.purge.waiting import is_done_within

SETTLE_WITHIN = 2.0  # seconds that a delivered photo's holders have to release
REVOKE_WITHIN = 2.0  # seconds until a revocation is answered without a receipt
EXPIRE_WITHIN = 1.0  # seconds past its expiry that a lease's holders have to say that they let go
_RETRY = 1.0  # seconds between attempts at a log or a registry that is away
_log = get_logger()


class Holders(Protocol):
    """The custody stream, as seen from here."""

    def revoke(self, photo_id: str, expire: float) -> None:
        """Tells every process that is connected to drop the photo and take nothing of it."""

    def profile(self, holder: str) -> Profile | None: ...


@dataclass(slots=True)
class Ending:
    """An end that is being carried out. wanted: what this end was begun for. stands: what was decided."""

    entry: Entry
    wanted: End
    expected: set[str] = field(default_factory=set)
    stands: End | None = None
    known: bool = False
    waiting: bool = False


class Endings:
    """See the module. ``unlogged`` counts receipts that the log has refused so far; they are tried again."""

    def __init__(
        self, *, registry: Registry, book: Book, ledger: Ledger, holders: Holders, clock: Clock, metrics: PurgeMetrics
    ) -> None:
        self._registry = registry
        self._book = book
        self._ledger = ledger
        self._holders = holders
        self._clock = clock
        self._metrics = metrics
        self._tasks = Tasks()
        self._running: dict[str, tuple[Ending, asyncio.Task[Logged]]] = {}
        self._leftovers: dict[str, tuple[bytes, str]] = {}
        self.unlogged = 0

    @property
    def unconfirmed(self) -> int:
        """Revoked or expired leases whose holders have not all confirmed."""
        return sum(1 for ending, _ in self._running.values() if ending.waiting)

    def is_ending(self, photo_id: str) -> bool:
        return photo_id in self._running

    async def settle(self, photo_id: str, holders: Iterable[str], reason: str) -> Logged:
        """Ends a lease as delivered. NotFound if it has ended otherwise; Unavailable leaves it as it is."""
        entry = self._book.get(photo_id)
        if entry is None:
            logged = await self.receipt(photo_id)
            if logged.receipt.outcome != Outcome.SETTLED:
                raise gone()
            return logged
        ending, task = self._begin(entry, Outcome.SETTLED, reason, holders)
        logged = await asyncio.shield(task)
        if ending.stands is None or ending.stands.outcome is not Outcome.SETTLED:
            raise gone()
        return logged

    async def revoke(self, photo_id: str, reason: str, owners: Iterable[str] | None = None) -> Logged | None:
        """Ends a lease early; None while a holder has not confirmed.

        owners: the pseudonyms one of which must be the lease's; None when the mesh itself revokes.
        NotFound: no such live lease (of this owner).
        """
        entry = self._book.get(photo_id)
        if entry is None or (owners is not None and not await self._is_owned(entry, owners)):
            raise gone()
        ending, task = self._begin(entry, Outcome.REVOKED, reason)
        done = await is_done_within(task, REVOKE_WITHIN, self._clock)
        logged = task.result() if done else None
        if ending.stands is not None and ending.stands.outcome is not Outcome.REVOKED:
            raise gone()
        return logged

    def expire(self, photo_id: str) -> None:
        """The lease is overdue: ends it, with or without the registry."""
        self._spontaneous(photo_id, Outcome.EXPIRED, "overdue")

    def lose(self, photo_id: str) -> None:
        """The registry has lost the lease: ends it."""
        self._spontaneous(photo_id, Outcome.REVOKED, "registry_lost")

    def resume(self, entry: Entry, end: End) -> None:
        """Carries out an end that was decided before a restart."""
        self._begin(entry, end.outcome, end.reason)

    async def receipt(self, photo_id: str) -> Logged:
        """The receipt of a lease that ended within the hour. NotFound, Unavailable."""
        if photo_id in self._leftovers:
            return Logged.from_bytes(self._leftovers[photo_id][0])
        stored = await self._registry.receipt(photo_id)
        if stored is None:
            raise gone()
        return Logged.from_bytes(stored)

    async def clear_leftovers(self) -> None:
        """Deletes keys that could not be deleted when their lease ended."""
        for photo_id, (receipt, owner) in list(self._leftovers.items()):
            try:
                await self._registry.finish(photo_id, receipt, owner)
            except Unavailable:
                return
            self._leftovers.pop(photo_id, None)

    async def settled(self) -> None:
        """Waits for ends under way, as long as a settlement may take."""
        await self._tasks.wait(SETTLE_WITHIN + 0.5)

    async def stop(self) -> None:
        """Ends that still wait for holders are taken up again after the restart."""
        await self.settled()
        await self._tasks.cancel()

    def _spontaneous(self, photo_id: str, outcome: Outcome, reason: str) -> None:
        entry = self._book.get(photo_id)
        if entry is not None:
            self._begin(entry, outcome, reason)

    def _begin(
        self, entry: Entry, outcome: Outcome, reason: str, holders: Iterable[str] = ()
    ) -> tuple[Ending, asyncio.Task[Logged]]:
        """Without an await between the look and the start, so that there is one task per photo."""
        running = self._running.get(entry.photo_id)
        if running is None:
            ending = Ending(entry, End(outcome, reason, self._clock.wall()), set(holders))
            running = ending, self._tasks.spawn(self._carry_out(ending))
            self._running[entry.photo_id] = running
            running[1].add_done_callback(lambda _: self._running.pop(entry.photo_id, None))
        return running

    async def _carry_out(self, ending: Ending) -> Logged:
        entry = ending.entry
        ending.stands = end = await self._decide(ending)
        self._book.change(entry, entry.lease.decide(end))
        if end.outcome is not Outcome.SETTLED:
            self._holders.revoke(entry.photo_id, entry.expire)
        await self._released(ending, end)
        lease = entry.lease.conclude()
        logged = await self._log_receipt(ending, lease, end)
        self._book.close(entry, lease)
        self._metrics.ended.labels(end.outcome.value, end.reason).inc()
        self._metrics.receipts.labels(end.outcome.value).inc()
        await self._delete(ending, logged)
        return logged

    async def _decide(self, ending: Ending) -> End:
        """The decision that stands. Unavailable if there is no registry to make it, except at the lease's expiry."""
        entry, wanted = ending.entry, ending.wanted
        overdue = wanted.outcome is Outcome.EXPIRED or self._clock.monotonic() >= entry.deadline
        try:
            record = await self._registry.decide(entry.photo_id, wanted.outcome, wanted.reason, wanted.at)
        except Unavailable:
            if wanted.outcome is not Outcome.SETTLED:
                self._holders.revoke(entry.photo_id, entry.expire)
            if overdue or wanted.reason == "registry_lost":
                outcome = Outcome.EXPIRED if overdue else Outcome.REVOKED
                return End(outcome, "registry_lost", wanted.at)
            raise
        if record is None:
            return _without_record(wanted, overdue)
        ending.known = True
        entry.grant = entry.grant or record.grant
        self._book.change(entry, merged(entry.lease, record.lease), heard=False)
        return record.lease.end or wanted

    async def _released(self, ending: Ending, end: End) -> None:
        entry, now = ending.entry, self._clock.monotonic()
        if end.outcome is Outcome.SETTLED:
            released = self._book.wait(entry, lambda lease: not lease.unreleased(ending.expected), now + SETTLE_WITHIN)
            if not await released:
                self._holders.revoke(entry.photo_id, entry.expire)
            return
        ending.waiting = True
        done = await self._book.wait(entry, lambda lease: not lease.holders, entry.deadline + EXPIRE_WITHIN)
        ending.waiting = False
        if not done:
            _log.warning("custody_unconfirmed", photo_id=entry.photo_id, count=len(entry.lease.holders))

    async def _log_receipt(self, ending: Ending, lease: Lease, end: End) -> Logged:
        profiles = {holder: p for holder in lease.custody if (p := self._holders.profile(holder)) is not None}
        receipt = statement.make(
            ending.entry, lease, end, profiles=profiles, expected=ending.expected,
            ended=self._clock.wall(), now=self._clock.monotonic(),
        )  # fmt: skip
        return await self._insist(lambda: self._ledger.issue(receipt))

    async def _insist(self, record: Callable[[], Awaitable[Logged]]) -> Logged:
        """Until the log takes it: a receipt is owed."""
        self.unlogged += 1
        try:
            while True:
                try:
                    return await record()
                except Unavailable as error:
                    _log.error("receipt_not_logged", reason=error.reason)
                await self._clock.sleep(_RETRY)
        finally:
            self.unlogged -= 1

    async def _delete(self, ending: Ending, logged: Logged) -> None:
        photo_id, owner = ending.entry.photo_id, ending.entry.grant.owner if ending.entry.grant else ""
        stored = logged.to_bytes()
        self._leftovers[photo_id] = stored, owner
        if not self._registry.link.up:
            return  # a second time-out would only hold the receipt up; the reaper comes back to it
        try:
            await self._registry.finish(photo_id, stored, owner)
        except Unavailable:
            _log.warning("keys_left", photo_id=photo_id)
        else:
            self._leftovers.pop(photo_id, None)

    async def _is_owned(self, entry: Entry, owners: Iterable[str]) -> bool:
        if entry.grant is None:
            record = await self._registry.read(entry.photo_id)
            entry.grant = record.grant if record else None
        return entry.grant is not None and entry.grant.owner in set(owners)


def gone() -> NotFound:
    """One error for everything that isn't there, so that nobody learns why."""
    return NotFound("PHOTO_NOT_FOUND", "There is no such photo: it has expired, was purged, or never existed.")


def _without_record(wanted: End, overdue: bool) -> End:
    """The registry answers, and knows nothing of a lease that the log has granted."""
    if wanted.outcome is Outcome.REVOKED:
        return wanted
    return End(Outcome.EXPIRED if overdue else Outcome.REVOKED, "registry_lost", wanted.at)
