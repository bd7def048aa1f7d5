"""The one place where a lease ends, whoever asks: decide, tell the holders, wait for them, receipt, delete.

The first decision stands. One task per photo carries it out; everybody else who wants this lease to end joins it.

A delivered photo's holders have usually let go of it: then one round trip ends the lease (``settling.py``), as it does
for many overdue leases that nobody holds (``expiry.py``). Whatever else ends is decided in the registry first. A
registry that is away keeps nobody from the receipt at the lease's expiry: the log and purge's own view are enough.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from mesh.clock import Clock
from mesh.errors import NotFound, Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from mesh.transparency.dsse import Envelope
from services.purge.book import Book, Entry, merged
from services.purge.closing import Closing, Holders
from services.purge.expiry import Expiry
from services.purge.fence import Fence
from services.purge.lease import LIVE, End, Outcome
from services.purge.ledger import Ledger, Logged
from services.purge.leftovers import Leftovers
from services.purge.metrics import PurgeMetrics
from services.purge.registry import GRACE, Moved, Registry
from services.purge.residency import Residency
from services.purge.settling import Settling
from services.purge.waiting import is_done_within
from services.purge.writer import Writer

SETTLE_WITHIN = 2.0  # seconds that a delivered photo's holders have to release
REVOKE_WITHIN = 2.0  # seconds until a revocation is answered without a receipt
EXPIRE_WITHIN = 1.0  # seconds past its expiry that a lease's holders have to say that they let go
_log = get_logger()


@dataclass(slots=True)
class Ending:
    """An end that is being carried out.

    wanted:  what this end was begun for. stands: what was decided.
    until:   how long a delivered photo's holders have, monotonic.
    away:    the registry has just not answered.
    first:   nobody in this process had wanted an end of it before.
    """

    wanted: End
    until: float
    expected: set[str] = field(default_factory=set)
    stands: End | None = None
    away: bool = False
    first: bool = False


class Endings:
    """See the module. moved: called with a lease that another replica ends, and whether its receipt is known to exist.

    ``unconfirmed``: revoked or expired leases whose holders have not all confirmed."""

    def __init__(
        self,
        *,
        registry: Registry,
        book: Book,
        ledger: Ledger,
        holders: Holders,
        writer: Writer,
        fence: Fence,
        residency: Residency,
        moved: Callable[[Entry, bool], None],
        clock: Clock,
        metrics: PurgeMetrics,
    ) -> None:
        self._registry = registry
        self._book = book
        self._ledger = ledger
        self._holders = holders
        self._writer = writer
        self._fence = fence
        self._moved = moved
        self._clock = clock
        self._tasks = Tasks()
        self._closing = Closing(
            ledger=ledger, book=book, holders=holders, residency=residency, clock=clock, metrics=metrics
        )
        self._settling = Settling(
            registry=registry, book=book, ledger=ledger, closing=self._closing, writer=writer, fence=fence
        )
        self._expiry = Expiry(
            registry=registry, book=book, closing=self._closing, writer=writer, clock=clock,
            fence=fence, alone=self._alone, done=self._expired,
        )  # fmt: skip
        self._running: dict[str, tuple[Ending, asyncio.Future[Logged]]] = {}
        self._bulk: dict[str, asyncio.Future[Logged] | None] = {}  # a future once somebody waits
        self.unfinished: list[Callable[[Entry], None]] = []
        self._leftovers = Leftovers(registry)
        self.unconfirmed = 0

    @property
    def unlogged(self) -> int:
        """Receipts that the log has refused so far; they are tried again."""
        return self._closing.unlogged

    def is_ending(self, photo_id: str) -> bool:
        return photo_id in self._running or photo_id in self._bulk

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

    @property
    def registry_up(self) -> bool:
        """Whether an end can be decided now."""
        return self._registry.link.up

    def take_back(self, entry: Entry) -> asyncio.Future[Logged]:
        """The operator wants everything to end: begins it, or joins the end that is under way."""
        return self._begin(entry, Outcome.REVOKED, "operator")[1]

    def expire(self, photo_id: str) -> None:
        """The lease is overdue: ends it, with or without the registry."""
        self._spontaneous(photo_id, Outcome.EXPIRED, "overdue")

    def expire_all(self, entries: Sequence[Entry]) -> None:
        """The leases are overdue: ends them; those that nobody holds, in bulk."""
        quiet = []
        for entry in entries:
            if self.is_ending(entry.photo_id):
                continue
            if (entry.lease.custody and entry.lease.holders) or entry.lease.state not in LIVE:
                self.expire(entry.photo_id)
                continue
            self._bulk[entry.photo_id] = None
            quiet.append(entry)
        self._expiry.add(quiet)

    def lose(self, photo_id: str) -> None:
        """The registry has lost the lease: ends it."""
        self._spontaneous(photo_id, Outcome.REVOKED, "registry_lost")

    def resume(self, entry: Entry, end: End) -> None:
        """Carries out an end that was decided before a restart."""
        self._closing.was_due(entry, end.at)
        self._begin(entry, end.outcome, end.reason)

    async def receipt(self, photo_id: str) -> Logged:
        """The receipt of a lease that ended within the hour. NotFound, Unavailable."""
        if (left := self._leftovers.receipt(photo_id)) is not None:
            return left
        stored = await self._registry.receipt(photo_id)
        if stored is None:
            if (mine := self._ledger.find(photo_id)) is None:
                raise gone()
            return mine
        logged = Logged.from_bytes(stored)
        if not self._settling.is_owed(logged):
            return logged
        if photo_id in self._running:
            return await asyncio.shield(self._running[photo_id][1])
        return self._ledger.find(photo_id) or logged

    async def clear_leftovers(self) -> None:
        """Deletes keys that could not be deleted when their lease ended."""
        await self._leftovers.clear()

    async def settled(self) -> None:
        """Waits for ends under way, as long as a settlement may take."""
        await self._tasks.wait(SETTLE_WITHIN + 0.5)
        await self._expiry.settled(SETTLE_WITHIN + 0.5)

    async def stop(self) -> None:
        """Ends that still wait for holders are taken up again after the restart."""
        await self.settled()
        await self._expiry.stop()
        await self._tasks.cancel()

    def _spontaneous(self, photo_id: str, outcome: Outcome, reason: str) -> None:
        entry = self._book.get(photo_id)
        if entry is not None:
            self._begin(entry, outcome, reason)

    def _begin(
        self, entry: Entry, outcome: Outcome, reason: str, holders: Iterable[str] = ()
    ) -> tuple[Ending, asyncio.Future[Logged]]:
        """Without an await between the look and the start, so that there is one task per photo."""
        if entry.photo_id in self._bulk:
            return self._join_bulk(entry)
        running = self._running.get(entry.photo_id)
        if running is None:
            ending = self._ending(outcome, reason, holders)
            ending.first = math.isinf(entry.due)
            entry.due = min(entry.due, self._clock.monotonic())
            running = ending, self._tasks.spawn(self._carry_out(entry, ending))
            self._running[entry.photo_id] = running
            running[1].add_done_callback(lambda _: self._over(entry))
        return running

    def _join_bulk(self, entry: Entry) -> tuple[Ending, asyncio.Future[Logged]]:
        ending = self._ending(Outcome.EXPIRED, "overdue")
        ending.stands = ending.wanted
        future = self._bulk[entry.photo_id] or asyncio.get_running_loop().create_future()
        self._bulk[entry.photo_id] = future
        return ending, future

    def _over(self, entry: Entry) -> None:
        self._running.pop(entry.photo_id, None)
        if self._book.get(entry.photo_id) is entry:
            for callback in self.unfinished:
                callback(entry)

    def _ending(self, outcome: Outcome, reason: str, holders: Iterable[str] = ()) -> Ending:
        wanted = End(outcome, reason, self._clock.wall())
        return Ending(wanted, self._clock.monotonic() + SETTLE_WITHIN, set(holders))

    def _alone(self, entry: Entry, away: bool) -> asyncio.Task[Logged]:
        """One of those that were to be ended in bulk, and couldn't."""
        ending = self._ending(Outcome.EXPIRED, "overdue")
        ending.away = away
        return self._tasks.spawn(self._carry_out(entry, ending))

    def _expired(self, entry: Entry, logged: Logged | None) -> None:
        """One of those that were to be ended in bulk has ended, or has not."""
        future = self._bulk.pop(entry.photo_id)
        if future is not None and not future.done():
            if logged is None:
                future.set_exception(Moved())
                future.exception()  # seen, for the case that nobody waits
            else:
                future.set_result(logged)
        self._over(entry)

    async def _carry_out(self, entry: Entry, ending: Ending) -> Logged:
        try:
            return await self._settle(entry, ending) or await self._end(entry, ending)
        except Moved as moved:
            self._moved(entry, moved.ended)
            raise

    async def _settle(self, entry: Entry, ending: Ending) -> Logged | None:
        """In one round trip; None if it isn't that simple. Unavailable, Moved."""
        if ending.wanted.outcome is not Outcome.SETTLED or not self._registry.link.up:
            return None  # a registry that seems to be away says so at once, instead of after the wait
        logged = await self._settling.settle(entry, ending.wanted, ending.expected, ending.until)
        if logged is not None:
            ending.stands = ending.wanted
        return logged

    async def _end(self, entry: Entry, ending: Ending) -> Logged:
        """The long way: decide, tell the holders, wait for them, receipt, delete. Unavailable, Moved."""
        decided = await self._decide(entry, ending)
        if isinstance(decided, Envelope):
            ending.stands, logged = await self._settling.take_over(entry, decided)
            return logged
        ending.stands = end = decided
        if ending.first:  # so whoever may have decided before was another process
            self._closing.was_due(entry, end.at)
        self._book.change(entry, entry.lease.decide(end))
        if end.outcome is not Outcome.SETTLED:
            self._holders.revoke(entry.photo_id, entry.expire)
        await self._released(entry, ending, end)
        lease = entry.lease.conclude()
        receipt = self._closing.receipt(entry, lease, end, ending.expected)
        (envelope,) = await self._closing.sign([receipt])
        fixed = await self._closing.owed(self._fence.commit(entry, envelope))
        if fixed is not envelope:
            ending.stands, logged = await self._settling.take_over(entry, fixed)
            return logged
        (logged,) = await self._closing.log([envelope], [receipt])
        self._closing.close(entry, lease, end)
        self._writer.drop(entry.photo_id)
        over = partial(self._closing.over, entry, end, self._clock.monotonic())
        await self._leftovers.finish(entry, logged, over)
        return logged

    async def _decide(self, entry: Entry, ending: Ending) -> End | Envelope:
        """The decision that stands, or the receipt of an end that the registry has carried out and the log not yet.

        Unavailable if there is no registry to decide, except at the lease's expiry. Moved.
        """
        wanted, photo_id = ending.wanted, entry.photo_id
        overdue = wanted.outcome is Outcome.EXPIRED or self._clock.monotonic() >= entry.deadline
        try:
            if ending.away:
                raise Unavailable("REGISTRY_UNAVAILABLE", "The registry's Redis is away; try again.", retry_after=1)
            reports = self._writer.pending(photo_id)
            record = await self._registry.decide(photo_id, wanted.outcome, wanted.reason, wanted.at, reports)
            signed = await self._settling.signed(photo_id) if record is None else None
        except Unavailable:
            if wanted.outcome is not Outcome.SETTLED:
                self._holders.revoke(photo_id, entry.expire)
            if overdue or wanted.reason == "registry_lost":
                outcome = Outcome.EXPIRED if overdue else Outcome.REVOKED
                return End(outcome, "registry_lost", wanted.at)
            raise
        if signed is not None:
            return signed
        if record is None:
            return _without_record(wanted, overdue=overdue, by_itself=self._clock.wall() > entry.expire + GRACE)
        entry.grant = entry.grant or record.grant
        self._book.change(entry, merged(entry.lease, record.lease), heard=False)
        return record.lease.end or wanted

    async def _released(self, entry: Entry, ending: Ending, end: End) -> None:
        if end.outcome is Outcome.SETTLED:
            if not await self._book.wait(entry, lambda lease: not lease.unreleased(ending.expected), ending.until):
                self._holders.revoke(entry.photo_id, entry.expire)
            return
        self.unconfirmed += 1
        try:
            done = await self._book.wait(entry, lambda lease: not lease.holders, entry.deadline + EXPIRE_WITHIN)
        finally:
            self.unconfirmed -= 1
        if not done:
            _log.warning("custody_unconfirmed", photo_id=entry.photo_id, count=len(entry.lease.holders))

    async def _is_owned(self, entry: Entry, owners: Iterable[str]) -> bool:
        if entry.grant is None:
            record = await self._registry.read(entry.photo_id)
            entry.grant = record.grant if record else None
        return entry.grant is not None and entry.grant.owner in set(owners)


def gone() -> NotFound:
    """One error for everything that isn't there, so that nobody learns why."""
    return NotFound("PHOTO_NOT_FOUND", "There is no such photo: it has expired, was purged, or never existed.")


def _without_record(wanted: End, *, overdue: bool, by_itself: bool) -> End:
    """The registry answers, and knows nothing of a lease that the log has granted.

    by_itself: it was so late that the keys' own clock was first, which is no loss.
    """
    if wanted.outcome is Outcome.REVOKED:
        return wanted
    if not overdue:
        return End(Outcome.REVOKED, "registry_lost", wanted.at)
    return End(Outcome.EXPIRED, "overdue" if by_itself else "registry_lost", wanted.at)
