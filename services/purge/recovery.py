"""The start after a stop of any kind: each grant in the log that has no receipt is taken up again, or ended."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Mapping

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import get_logger
from services.purge.book import Book, Entry
from services.purge.debts import Debts
from services.purge.ending import Endings
from services.purge.lease import LIVE
from services.purge.ledger import Ledger, Logged
from services.purge.metrics import PurgeMetrics
from services.purge.receipt import Receipt
from services.purge.reconcile import Reconcile
from services.purge.record import Record
from services.purge.registry import Moved, Registry
from services.purge.residency import Residency

_BATCH = 500  # leases in one round trip
_log = get_logger()


class Recovery:
    """A component that only starts; after it, purge's view holds every lease that owes a receipt here."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        registry: Registry,
        book: Book,
        endings: Endings,
        reconcile: Reconcile,
        debts: Debts,
        residency: Residency,
        clock: Clock,
        metrics: PurgeMetrics,
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._book = book
        self._endings = endings
        self._reconcile = reconcile
        self._debts = debts
        self._residency = residency
        self._clock = clock
        self._metrics = metrics

    async def start(self) -> None:
        history = await asyncio.to_thread(self._ledger.history)
        granted, ended = history.totals.granted, sum(history.totals.ended.values())
        self._metrics.adopted.inc(ended + len(history.open) - granted)  # receipts of leases that others had granted
        photo_ids = list(history.open)
        lost: list[Entry] = []
        away = False
        for at in range(0, len(photo_ids), _BATCH):
            batch = {photo_id: float(history.open[photo_id]) for photo_id in photo_ids[at : at + _BATCH]}
            away = away or not await self._take_up(batch, lost)
            if away:
                for photo_id, expire in batch.items():
                    if self._book.get(photo_id) is None:
                        self._open(photo_id, expire)  # ended at its expiry, with what the registry then knows
        self._reconcile.lose([entry for entry in lost if entry.expire > self._clock.wall()])
        try:
            await self._finish_ended()
        except Unavailable:
            _log.warning("keys_left")  # they are deleted when they are due
        if history.open:
            _log.info("grants_recovered", count=len(history.open))

    async def stop(self) -> None:
        """Nothing to stop."""

    async def _take_up(self, batch: Mapping[str, float], lost: list[Entry]) -> bool:
        """Leases that still live go on; those whose end was decided are ended so; the rest joins ``lost``.

        False when the registry is away: then nothing was done.
        """
        try:
            records = await self._registry.read_all(list(batch))
            stored = await self._registry.receipts([photo_id for photo_id in batch if photo_id not in records])
        except Unavailable:
            return False
        for photo_id, expire in batch.items():
            if photo_id in records:
                self._go_on(photo_id, records[photo_id])
            elif photo_id in stored:
                await self._log(photo_id, expire, Logged.from_bytes(stored[photo_id]))
            else:
                lost.append(self._open(photo_id, expire))
        return True

    def _go_on(self, photo_id: str, record: Record) -> None:
        if record.home != self._registry.home:
            self._debts.add(photo_id, record.grant.expire, ended=False)
            return
        entry = self._book.open(photo_id, record.grant.expire, record.grant, record.lease)
        self._book.move(photo_id, lambda lease: lease, parked=record.size if record.lease.state in LIVE else 0)
        if record.lease.end is not None:
            self._endings.resume(entry, record.lease.end)

    async def _log(self, photo_id: str, expire: float, logged: Logged) -> None:
        """Its end was fixed in the registry, and is not in this log: another replica's, or stopped in between."""
        if logged.registry not in ("", self._registry.home):
            self._debts.add(photo_id, expire, ended=logged.index >= 0)
            return
        await self._ledger.record(logged.envelope)
        receipt = logged.receipt
        self._metrics.ended.labels(receipt.outcome, receipt.reason).inc()
        self._metrics.receipts.labels(receipt.outcome).inc()
        self._over(receipt, expire)

    def _over(self, receipt: Receipt, expire: float, receipted: float = math.inf) -> None:
        """What ended before the stop has left nothing from now on. expire, receipted: Unix seconds."""
        self._residency.over(
            receipt.outcome,
            granted=receipt.admitted_time,
            due=float(receipt.ended_time),
            expire=expire,
            now=self._clock.wall(),
            receipted=receipted,
        )

    def _open(self, photo_id: str, expire: float) -> Entry:
        """Nobody knows whether another replica has adopted it since."""
        entry = self._book.open(photo_id, expire)
        entry.taken = float("-inf")
        return entry

    async def _finish_ended(self) -> None:
        """Keys of leases whose receipt was logged just before the stop."""
        for photo_id in await self._registry.overdue(float("inf"), 10_000):
            logged = self._ledger.find(photo_id)
            if logged is None or self._book.get(photo_id) is not None:
                continue  # which an end that is under way finishes
            receipt, record = logged.receipt, await self._registry.read(photo_id)
            with contextlib.suppress(Moved):
                await self._registry.finish(photo_id, logged.to_bytes(), "")
                # Without a record they have gone by their TTL, after the longest lease at the latest.
                latest = (receipt.admitted_time or receipt.ended_time) + self._residency.longest
                self._over(receipt, record.grant.expire if record else latest, receipt.ended_time)
