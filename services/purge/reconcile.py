"""After a gap: which of this replica's leases the registry still has, and which of them are still this replica's.

A gap is a registry that was lost, flushed or failed over, or a replica that was out of sight. What the registry knows
less of custody than this replica does no harm: the Book wins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge.book import Book, Entry
from services.purge.debts import Debts
from services.purge.ending import Endings
from services.purge.ledger import Ledger
from services.purge.registry import Registry

_BATCH = 500  # leases in one round trip
_AT_ONCE = 4  # round trips
_UNDER_WAY = 2.5  # seconds after which a grant has reached the registry, or never will
_ENDS_AT_ONCE = 2000
_ENDS_WITHIN = 5.0  # seconds
_NOTICED = 3.0  # seconds within which attestation sees that the registry is another one
_LONGEST = 900.0  # seconds, more than any lease
_log = get_logger()


class Reconcile:
    """``run`` is awaited before a registry that has changed counts as safe again."""

    def __init__(
        self, *, registry: Registry, book: Book, endings: Endings, ledger: Ledger, debts: Debts, clock: Clock
    ) -> None:
        self._registry = registry
        self._book = book
        self._endings = endings
        self._ledger = ledger
        self._debts = debts
        self._clock = clock
        self._tasks = Tasks()
        self._running = asyncio.Lock()
        self.changed_at = float("-inf")
        """When the registry was last seen to have lost something, or to be another one; Unix seconds."""

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        await self._tasks.cancel()

    async def after_change(self) -> None:
        """``run``, for a registry that isn't what it was."""
        self.changed_at = self._clock.wall()
        await self.run()

    async def run(self) -> None:
        """Looks for every open lease. Raises Unavailable; the next run begins anew.

        Those without a record end in the background: REVOKED, registry_lost.
        """
        async with self._running:
            began = self._clock.monotonic()
            old = [entry for entry in self._book if began - entry.taken >= _UNDER_WAY]
            young = [entry for entry in self._book if began - entry.taken < _UNDER_WAY]
            lost = await self._missing(old)
            if lost or young:
                self._tasks.spawn(self._end(lost, young))
            missing = {entry.photo_id for entry in lost}
            kept = [entry for entry in old if entry.photo_id not in missing]
            self._tasks.spawn(self._confirm(kept, began, self._clock.wall()))
            await self._end_again()
            seconds = round(self._clock.monotonic() - began, 3)
            _log.warning("registry_reconciled", count=len(lost), size=len(old) + len(young), seconds=seconds)

    async def _missing(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that have no record. Those that another replica has adopted are closed."""
        batches = [entries[at : at + _BATCH] for at in range(0, len(entries), _BATCH)]
        missing: list[Entry] = []
        for at in range(0, len(batches), _AT_ONCE):
            for found in await asyncio.gather(*map(self._look_for, batches[at : at + _AT_ONCE])):
                missing += found
        return missing

    async def _look_for(self, entries: Sequence[Entry]) -> list[Entry]:
        homes = await self._registry.homes([entry.photo_id for entry in entries])
        for entry in entries:
            home = homes.get(entry.photo_id)
            if home is not None and home != self._registry.home:
                self._debts.move(entry)
        return [entry for entry in entries if entry.photo_id not in homes and self._is_idle(entry)]

    def lose(self, lost: Sequence[Entry]) -> None:
        """Ends leases that have no record, in the background."""
        if lost:
            self._tasks.spawn(self._lose(lost))

    async def _confirm(self, entries: Sequence[Entry], looked: float, at: float) -> None:
        """What still has its record was adopted by nobody; unless the registry has gone back in time, which is noticed
        within a few seconds."""
        await self._clock.sleep(_NOTICED)
        if self.changed_at >= at - _LONGEST:
            return
        for entry in entries:
            if self._book.get(entry.photo_id) is entry:
                entry.taken = max(entry.taken, looked)

    async def _end(self, lost: Sequence[Entry], young: Sequence[Entry]) -> None:
        """A bounded number at a time, so that a million lost leases don't become as many tasks."""
        await self._lose(lost)
        if young:
            await self._clock.sleep(_UNDER_WAY)
            try:
                await self._lose(await self._missing(young))
            except Unavailable:
                _log.warning("registry_behind", count=len(young))  # they end when they are asked for, or due

    async def _lose(self, lost: Sequence[Entry]) -> None:
        for at in range(0, len(lost), _ENDS_AT_ONCE):
            batch = lost[at : at + _ENDS_AT_ONCE]
            for entry in batch:
                if self._is_idle(entry):
                    self._endings.lose(entry.photo_id)
            # Not longer: one of them may wait for a holder until its lease's end.
            until = self._clock.monotonic() + _ENDS_WITHIN
            while any(self._book.get(e.photo_id) is e for e in batch) and self._clock.monotonic() < until:
                await self._clock.sleep(0.05)

    async def _end_again(self) -> None:
        """A failover can bring back leases that have ended: their keys go, their receipts stay."""
        ended = self._book.ended()
        for at in range(0, len(ended), _BATCH):
            homes = await self._registry.homes(ended[at : at + _BATCH])
            back = [photo_id for photo_id, home in homes.items() if home == self._registry.home]
            if back:
                found = await asyncio.to_thread(lambda ids: {p: self._ledger.find(p) for p in ids}, back)
                await self._registry.finish_all(
                    {p: logged.to_bytes() if logged else b"" for p, logged in found.items()}
                )
                _log.warning("keys_swept", count=len(back))

    def _is_idle(self, entry: Entry) -> bool:
        return self._book.get(entry.photo_id) is entry and not self._endings.is_ending(entry.photo_id)
