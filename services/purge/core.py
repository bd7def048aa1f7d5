"""Purge without its servers: every part, put together and started in the one order that works."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.errors import NotFound, Unavailable
from mesh.instruments.declare import HOLDERS
from mesh.log import get_logger
from mesh.transparency.keys import SigningKey
from services.purge import metrics as names
from services.purge.address import RedisAddress
from services.purge.adoption import Adoption
from services.purge.attest import Attestation
from services.purge.book import Book
from services.purge.custody import Custody
from services.purge.debts import Debts
from services.purge.ending import Endings
from services.purge.fence import Fence
from services.purge.grants import Grants, Terms
from services.purge.leadership import Leadership
from services.purge.ledger import Ledger, Logged
from services.purge.link import Link
from services.purge.log import Log
from services.purge.metrics import PurgeMetrics
from services.purge.operator import Operator
from services.purge.parked import Parking
from services.purge.pause import Pause
from services.purge.presence import Presence
from services.purge.pseudonym import Pseudonyms
from services.purge.reaper import Reaper
from services.purge.reconcile import Reconcile
from services.purge.recovery import Recovery
from services.purge.registry import Registry
from services.purge.residency import Residency
from services.purge.routing import Routing, elsewhere
from services.purge.shards import Shards, ended_in_shard
from services.purge.tally import Totals

_log = get_logger()


class Core:
    """A component. Its parts are what the servicers call. name: this replica's, of which there is one alive."""

    def __init__(
        self,
        *,
        redis: RedisAddress,
        log: Log,
        key: SigningKey,
        terms: Terms,
        parked_limit: int,
        clock: Clock,
        metrics: PurgeMetrics,
        name: str = "purge-0",
        address: str = "",
        shards: Shards | None = None,
    ) -> None:
        self.shards = shards = shards or Shards((), ended_in_shard, clock)
        self._metrics = metrics
        residency = Residency(metrics, terms.ceiling)
        self.clock = clock
        self.link = Link(redis)
        self.registry = Registry(self.link, name)
        self.book = Book(clock)
        self.ledger = Ledger(log, key, clock, name)
        self.presence = Presence(self.registry, clock, address)
        self.leadership = Leadership(self.registry, clock)
        self.attestation = Attestation(self.link, clock, quarantine=terms.ceiling)
        self.pseudonyms = Pseudonyms(self.registry, clock, terms.ceiling)
        self.custody = Custody(
            registry=self.registry,
            book=self.book,
            clock=clock,
            ceiling=terms.ceiling,
            lost=self._lost,
            moved=self._moved,
        )
        self.debts = Debts(
            registry=self.registry, book=self.book, shards=shards, clock=clock, metrics=metrics, ended=self._overdue
        )
        self.endings = Endings(
            registry=self.registry,
            book=self.book,
            ledger=self.ledger,
            holders=self.custody,
            writer=self.custody.writer,
            fence=Fence(registry=self.registry, presence=self.presence, shards=shards, clock=clock),
            residency=residency,
            moved=self.debts.move,
            clock=clock,
            metrics=metrics,
        )
        self.reaper = Reaper(book=self.book, endings=self.endings, clock=clock)
        self.reconcile = Reconcile(
            registry=self.registry,
            book=self.book,
            endings=self.endings,
            ledger=self.ledger,
            debts=self.debts,
            clock=clock,
        )
        self.recovery = Recovery(
            ledger=self.ledger,
            registry=self.registry,
            book=self.book,
            endings=self.endings,
            reconcile=self.reconcile,
            debts=self.debts,
            residency=residency,
            clock=clock,
            metrics=metrics,
        )
        self.adoption = Adoption(
            registry=self.registry,
            book=self.book,
            custody=self.custody,
            endings=self.endings,
            ledger=self.ledger,
            presence=self.presence,
            leadership=self.leadership,
            reconcile=self.reconcile,
            clock=clock,
            metrics=metrics,
        )
        self.routing = Routing(registry=self.registry, book=self.book, adoption=self.adoption)
        self.presence.returned.append(self._returned)
        self.attestation.on_changed.append(self.reconcile.after_change)
        safe = self.attestation.require_safe
        self.parking = Parking(registry=self.registry, book=self.book, clock=clock, limit=parked_limit, safe=safe)
        self.pause = Pause(clock)
        self.grants = Grants(
            terms=terms,
            safe=self._may_grant,
            pseudonyms=self.pseudonyms,
            registry=self.registry,
            book=self.book,
            ledger=self.ledger,
            endings=self.endings,
            clock=clock,
            metrics=metrics,
        )
        self.operator = Operator(
            book=self.book,
            endings=self.endings,
            holders=self.custody,
            grants=self.grants,
            pause=self.pause,
            clock=clock,
            metrics=metrics,
        )
        _show(self, metrics)

    async def start(self) -> None:
        """Also without a registry: leases of the log are then ended when they are due, and none is granted."""
        try:
            await self.registry.start()
        except Unavailable as error:
            _log.error("registry_away", reason=error.reason)
        await self.presence.start()
        await self.pseudonyms.start()
        await self.recovery.start()
        self._metrics.resume(*self.ledger.before)
        await self.reaper.start()
        for part in (self.leadership, self.adoption, self.debts):
            await part.start()
        await self.attestation.start()

    async def stop(self) -> None:
        """Leases that live on are adopted by the other replicas at once, or taken up again at the next start."""
        await self.grants.stop()
        await self.operator.stop()
        await self.parking.stop()
        for part in (self.debts, self.adoption, self.reconcile, self.leadership):
            await part.stop()
        await self.pseudonyms.stop()
        await self.attestation.stop()
        await self.reaper.stop()
        await self.endings.stop()
        await self.custody.stop()
        await self.presence.stop()
        await self.ledger.log.close()
        await self.link.close()

    def _may_grant(self) -> None:
        self.attestation.require_safe()
        self.pause.require_none()

    def _lost(self, photo_id: str) -> None:
        self.endings.lose(photo_id)

    def _overdue(self, photo_id: str) -> None:
        self.endings.expire(photo_id)

    def _moved(self, photo_id: str) -> None:
        # An end under way finds out by itself.
        if (entry := self.book.get(photo_id)) is not None and not self.endings.is_ending(photo_id):
            self.debts.move(entry)

    async def _returned(self) -> None:
        """This replica was out of sight; its leases may be others' by now."""
        while True:
            try:
                return await self.reconcile.run()
            except Unavailable:
                await self.clock.sleep(1)

    async def receipt(self, photo_id: str) -> Logged:
        """The receipt of a lease that ended within the hour. NotFound, Unavailable (LEASE_ELSEWHERE)."""
        logged = await self.routing.at_home(photo_id, lambda: self.endings.receipt(photo_id))
        other = logged.registry if logged.registry != self.registry.home else ""
        if other and await self.registry.is_alive(other):
            raise elsewhere(other)
        return logged

    async def revoke_owner(self, owner_digest: bytes) -> Revoked:
        """Revokes every live lease of one owner, as far as this replica keeps them."""
        owners = await self.pseudonyms.possible(owner_digest)
        photo_ids = sorted({photo_id for owner in owners for photo_id in await self.registry.owned(owner)})
        revoked = Revoked({}, {})
        await asyncio.gather(*[self._revoke_owned(photo_id, owners, revoked) for photo_id in photo_ids])
        return revoked

    async def _revoke_owned(self, photo_id: str, owners: list[str], revoked: Revoked) -> None:
        try:
            logged = await self.routing.at_home(photo_id, lambda: self.endings.revoke(photo_id, "requested", owners))
        except NotFound:
            return
        except Unavailable as error:
            if error.registry is None:
                raise
            revoked.elsewhere[photo_id] = error.registry
        else:
            revoked.here[photo_id] = await self.ledger.bundle(logged, wait=False) if logged else None


@dataclass(frozen=True, slots=True)
class Revoked:
    """here: photo_id → receipt bundle, None while a holder hasn't confirmed. elsewhere: photo_id → who keeps it."""

    here: dict[str, bytes | None]
    elsewhere: dict[str, str]


class Farewell:
    """A component that stops before the server does: it ends the custody streams, which would never end by themselves.

    Ends under way get the reports that they wait for first.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        await self._core.grants.stop()
        await self._core.endings.settled()
        await self._core.custody.stop()


def _show(core: Core, metrics: PurgeMetrics) -> None:
    """The gauges that dashboards and alerts read."""
    book, log, attestation = core.book, core.ledger.log, core.attestation
    log.sync_seconds.append(metrics.sync_seconds.observe)
    metrics.leases(book)
    metrics.registry(attestation, lambda: core.link.up)
    gauge = metrics.gauge
    gauge(names.LEASE_OVERDUE, core.reaper.overdue_seconds)
    gauge(names.RECEIPTS_UNLOGGED, lambda: core.endings.unlogged)
    gauge(names.RECEIPTS_AWAITED, lambda: len(core.debts))
    gauge(names.LEADER, lambda: core.leadership.leads)
    gauge(names.TERM, lambda: core.leadership.term)
    gauge(names.REVOCATIONS_UNCONFIRMED, lambda: core.endings.unconfirmed)
    gauge(names.OPEN_GRANTS, lambda: _open(core.ledger.totals))
    gauge(names.LOG_ENTRIES, lambda: log.size)
    gauge(names.LOG_INTEGRATED, lambda: log.integrated_size)
    gauge(names.LOG_LAG, lambda: log.lag_seconds)
    metrics.gauges(names.CUSTODY_STREAMS, lambda: dict.fromkeys(HOLDERS, 0.0) | core.custody.connected())


def _open(totals: Totals) -> float:
    """Below 0 where more leases of other logs end in this one than the other way round."""
    return totals.granted - sum(totals.ended.values())
