"""Taking over the leases of replicas that are dead: on demand, and by the leader, so that each of them ends in time.

An adopted lease begins here with what its record says, corrected by what this replica's own streams know of holders.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge import keys
from services.purge.book import Book
from services.purge.custody import Custody
from services.purge.ending import Endings
from services.purge.leadership import Leadership
from services.purge.lease import LIVE
from services.purge.ledger import Ledger
from services.purge.metrics import PurgeMetrics
from services.purge.presence import Presence
from services.purge.reconcile import Reconcile
from services.purge.record import Record
from services.purge.registry import Moved, Registry, Report

EVERY = 1.0  # seconds between two looks of the leader
_SOON = 2.0  # seconds before its end by which a lease must have a home that lives
_LOOK = 20_000  # leases of a dead replica's time that are looked at in one round
_BATCH = 500  # leases in one round trip
_SWEEP_AFTER = 0.25  # seconds that whoever granted a lease has to end it, before its keys are swept
_SHARD_LIMIT = 1000  # leases of one shard that are due, in one round
_log = get_logger()


class Adoption:
    """A component."""

    def __init__(
        self,
        *,
        registry: Registry,
        book: Book,
        custody: Custody,
        endings: Endings,
        ledger: Ledger,
        presence: Presence,
        leadership: Leadership,
        reconcile: Reconcile,
        clock: Clock,
        metrics: PurgeMetrics,
    ) -> None:
        self._registry = registry
        self._book = book
        self._custody = custody
        self._endings = endings
        self._ledger = ledger
        self._presence = presence
        self._leadership = leadership
        self._reconcile = reconcile
        self._clock = clock
        self._metrics = metrics
        self._tasks = Tasks()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._dead: set[str] = set()
        self._shards: list[int] = []

    async def start(self) -> None:
        self._tasks.spawn(self._keep_looking())

    async def stop(self) -> None:
        await self._tasks.cancel()

    async def take(self, photo_id: str, home: str) -> bool:
        """Whether the lease of ``home`` is this replica's now: it is if ``home`` is dead. Raises Unavailable."""
        if home not in await self._presence.dead([home]):
            return False
        self._search([home])
        task = self._under_way.get(photo_id)
        if task is None:
            task = self._under_way[photo_id] = self._tasks.spawn(self._adopt([photo_id], home))
            task.add_done_callback(lambda _: self._under_way.pop(photo_id, None))
        await asyncio.shield(task)
        return True

    async def tend(self, photo_id: str, record: Record) -> None:
        """A lease of this replica that it knows nothing of: its keys are left over, or its adoption went unnoticed."""
        logged = await asyncio.to_thread(self._ledger.find, photo_id)
        if logged is None and record.adopted:
            await self._open({photo_id: record})
        elif logged is not None or record.grant.expire < self._clock.wall() - _SWEEP_AFTER:
            await self._registry.finish(photo_id, logged.to_bytes() if logged else b"", record.grant.owner)
            _log.info("keys_swept", photo_id=photo_id)

    async def look(self) -> None:
        """One round: what is due soon and has nobody who ends it. Raises Unavailable."""
        now = self._clock.wall()
        await self._look_at(await self._registry.overdue(now + _SOON, _SHARD_LIMIT))
        if self._leadership.leads:
            await self._sweep(await self._registry.overdue(now - _SWEEP_AFTER, _SHARD_LIMIT))
            # One of each shard shows every replica that keeps more than a few, and so its death.
            await self._look_at(await self._registry.overdue(math.inf, 1))
            await self._search_on()

    async def _search_on(self) -> None:
        """After a replica's death: every lease there is, a bounded number in one round."""
        looked = 0
        while self._shards and looked < _LOOK:
            photo_ids = await self._registry.due(self._shards[-1])
            await self._look_at(photo_ids)
            self._shards.pop()
            looked += len(photo_ids)

    async def _sweep(self, photo_ids: Sequence[str]) -> None:
        """Leases without a record: only their place among the due ones is left."""
        strangers = self._strangers(photo_ids)
        for at in range(0, len(strangers), _BATCH):
            batch = strangers[at : at + _BATCH]
            known = await self._registry.homes(batch)
            left = {photo_id: b"" for photo_id in batch if photo_id not in known}
            if left:
                await self._registry.finish_all(left)
                _log.info("keys_swept", count=len(left))

    async def _look_at(self, photo_ids: Sequence[str]) -> None:
        strangers = self._strangers(photo_ids)
        for at in range(0, len(strangers), _BATCH):
            of_home: dict[str, list[str]] = defaultdict(list)
            for photo_id, home in (await self._registry.homes(strangers[at : at + _BATCH])).items():
                of_home[home].append(photo_id)
            for photo_id, record in (await self._registry.read_all(of_home.pop(self._registry.home, []))).items():
                if self._strangers([photo_id]):
                    await self.tend(photo_id, record)
            if self._leadership.leads:
                await self._adopt_dead(of_home)

    async def _adopt_dead(self, of_home: Mapping[str, Sequence[str]]) -> None:
        dead = await self._presence.dead(of_home)
        self._dead -= of_home.keys() - dead
        self._search(dead)
        for home in dead:
            await self._adopt(of_home[home], home)

    def _search(self, dead: Iterable[str]) -> None:
        """News of a death: all shards are to be looked through."""
        new = set(dead) - self._dead
        if new:
            self._dead |= new
            self._shards = list(range(keys.SHARDS))
            _log.warning("replica_dead", count=len(new))

    def _strangers(self, photo_ids: Sequence[str]) -> list[str]:
        """Those that this replica neither keeps nor has just ended."""
        return [p for p in photo_ids if self._book.get(p) is None and self._book.expiry(p) is None]

    async def _adopt(self, photo_ids: Sequence[str], home: str) -> None:
        await self._open(await self._registry.adopt_all(photo_ids, home, self._leadership.term))

    async def _open(self, records: Mapping[str, Record]) -> None:
        reports: list[Report] = []
        for photo_id, record in records.items():
            if self._book.get(photo_id) is not None:
                continue
            lease, news = self._custody.told_of(photo_id, record.lease)
            entry = self._book.open(photo_id, record.grant.expire, record.grant, lease)
            self._book.move(photo_id, lambda lease: lease, parked=record.size if lease.state in LIVE else 0)
            if record.grant.granted <= self._reconcile.changed_at:
                entry.taken = float("-inf")  # a failover may have brought it back after its end
            self._metrics.adopted.inc()
            reports += news
            if lease.end is not None:
                self._endings.resume(entry, lease.end)
        if reports:
            await self._registry.custody(reports)

    async def _keep_looking(self) -> None:
        while True:
            await self._clock.sleep(EVERY)
            try:
                await self.look()
            except (Unavailable, Moved):
                continue
