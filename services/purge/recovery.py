"""The start after a stop of any kind: each grant in the log that has no receipt is taken up again, or ended."""

from __future__ import annotations

import asyncio

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import get_logger
from services.purge.book import Book
from services.purge.ending import Endings
from services.purge.lease import LIVE
from services.purge.ledger import Ledger
from services.purge.registry import Registry

_log = get_logger()


class Recovery:
    """A component that only starts; after it, purge's view holds every lease that owes a receipt."""

    def __init__(self, *, ledger: Ledger, registry: Registry, book: Book, endings: Endings, clock: Clock) -> None:
        self._ledger = ledger
        self._registry = registry
        self._book = book
        self._endings = endings
        self._clock = clock

    async def start(self) -> None:
        history = await asyncio.to_thread(self._ledger.history)
        away = False
        for photo_id, expire in history.open.items():
            away = away or not await self._take_up(photo_id, float(expire))
            if away and self._book.get(photo_id) is None:
                self._book.open(photo_id, float(expire))  # ended at its expiry, with what the registry then knows
        try:
            await self._finish_ended()
        except Unavailable:
            _log.warning("keys_left")  # the reaper deletes them when they are due
        if history.open:
            _log.info("grants_recovered", count=len(history.open))

    async def stop(self) -> None:
        """Nothing to stop."""

    async def _take_up(self, photo_id: str, expire: float) -> bool:
        """A lease that still lives goes on; one whose end was decided is ended so; one that is lost ends now.

        False when the registry is away.
        """
        try:
            record = await self._registry.read(photo_id)
        except Unavailable:
            return False
        if record is None:
            self._book.open(photo_id, expire)
            if expire > self._clock.wall():
                self._endings.lose(photo_id)  # otherwise the reaper expires it at once
            return True
        entry = self._book.open(photo_id, record.grant.expire, record.grant, record.lease)
        self._book.move(photo_id, lambda lease: lease, parked=record.size if record.lease.state in LIVE else 0)
        if record.lease.end is not None:
            self._endings.resume(entry, record.lease.end)
        return True

    async def _finish_ended(self) -> None:
        """Keys of leases whose receipt was logged just before the stop."""
        for photo_id in await self._registry.overdue(float("inf"), 10_000):
            logged = self._ledger.find(photo_id)
            if logged is not None:
                await self._registry.finish(photo_id, logged.to_bytes(), "")
