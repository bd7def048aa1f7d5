"""Granting leases: no lease without a safe registry, and none that the log could forget."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from mesh.clock import Clock
from mesh.errors import Invalid, MeshError, Unavailable
from mesh.tasks import Tasks
from mesh.tracing import spans
from services.purge.book import Book
from services.purge.ending import Endings
from services.purge.ledger import Ledger
from services.purge.metrics import PurgeMetrics
from services.purge.pseudonym import Pseudonyms
from services.purge.quota import Quota
from services.purge.record import Grant
from services.purge.registry import Registry, Reply


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds: the shortest lease, the usual one, the longest. daily_quota: leases of one owner in one day, UTC."""

    shortest: float = 1.0
    usual: float = 120.0
    ceiling: float = 300.0
    daily_quota: int = 1000


@dataclass(frozen=True, slots=True)
class Wish:
    """What a gateway asks for. owner_digest, claim_verifier: 32 bytes. nonce_commitment: 32 bytes or none.

    ttl: seconds, None for the usual. Raises Invalid.
    """

    owner_digest: bytes
    claim_verifier: bytes
    nonce_commitment: bytes = b""
    policy_version: str = ""
    ttl: float | None = None

    def __post_init__(self) -> None:
        _check(len(self.owner_digest) == 32, "owner_digest", "The owner's digest has 32 bytes.")
        _check(len(self.claim_verifier) == 32, "claim_verifier", "The claim verifier has 32 bytes.")
        _check(len(self.nonce_commitment) in (0, 32), "nonce_commitment", "The commitment has 32 bytes or none.")
        version = self.policy_version
        plain = version.isascii() and version.replace(".", "").replace("-", "").replace("_", "").isalnum()
        _check(version == "" or (plain and len(version) <= 64), "policy_version", "A policy version is a plain name.")


class Grants:
    """safe: raises Unavailable while the registry's Redis must not be used."""

    def __init__(
        self,
        *,
        terms: Terms,
        safe: Callable[[], None],
        pseudonyms: Pseudonyms,
        registry: Registry,
        book: Book,
        ledger: Ledger,
        endings: Endings,
        clock: Clock,
        metrics: PurgeMetrics,
    ) -> None:
        self._terms = terms
        self._quota = Quota(terms.daily_quota)
        self._safe = safe
        self._pseudonyms = pseudonyms
        self._registry = registry
        self._book = book
        self._ledger = ledger
        self._endings = endings
        self._clock = clock
        self._metrics = metrics
        self._tasks = Tasks()

    async def grant(self, wish: Wish) -> Grant:
        """A new lease, durable in the log and in the registry.

        Raises Invalid (ttl), Exhausted (QUOTA_EXCEEDED), Unavailable (REGISTRY_UNSAFE, REGISTRY_UNAVAILABLE, LOG_…).
        """
        ttl = self._ttl(wish.ttl)
        self._safe()
        owner = await self._pseudonyms.current(wish.owner_digest)
        day = self._pseudonyms.day()
        self._quota.require(owner, day)
        now = round(self._clock.wall(), 3)
        grant = Grant(
            photo_id=secrets.token_hex(16),
            granted=now,
            expire=round(now + ttl, 3),
            owner=owner,
            verifier=wish.claim_verifier.hex(),
            nonce_commitment=wish.nonce_commitment.hex(),
            policy_version=wish.policy_version,
        )
        # Once it may be in the log it owes a receipt, also if the caller stops waiting.
        admission = self._tasks.spawn(self._admit(grant, day))
        try:
            await asyncio.shield(admission)
        except asyncio.CancelledError:
            admission.add_done_callback(lambda _: self._abandon(grant.photo_id))
            raise
        return grant

    async def admitted(self) -> None:
        """Until every admission that is under way now has its lease, or has failed; at most 5 s."""
        await self._tasks.wait_for_those(5)

    async def stop(self) -> None:
        """Waits for admissions under way."""
        await self._tasks.wait(5)

    async def _admit(self, grant: Grant, day: str) -> None:
        with spans.span("log"):
            await self._ledger.admit(grant.photo_id, grant.expire)
        self._book.open(grant.photo_id, grant.expire, replace(grant, verifier=""))  # a million of them take 110 MB
        self._metrics.granted.inc()
        try:
            with spans.span("registry"):
                reply, count = await self._registry.grant(grant, day)
        except Unavailable:
            self._endings.lose(grant.photo_id)
            raise
        if reply is not Reply.OK:
            self._endings.lose(grant.photo_id)
            raise Unavailable("REGISTRY_UNAVAILABLE", "The lease could not be written; try again.", retry_after=1)
        if not self._quota.counted(grant.owner, day, count):
            self._tasks.spawn(self._revoke(grant.photo_id, "refused"))
            self._quota.require(grant.owner, day)

    def _abandon(self, photo_id: str) -> None:
        """Nobody was told of this lease."""
        if self._book.get(photo_id) is not None:
            self._tasks.spawn(self._revoke(photo_id, "peer_lost"))

    async def _revoke(self, photo_id: str, reason: str) -> None:
        try:
            await self._endings.revoke(photo_id, reason)
        except MeshError:
            return  # the reaper ends it

    def _ttl(self, wish: float | None) -> float:
        terms = self._terms
        ttl = min(terms.usual, terms.ceiling) if wish is None else wish
        if not (math.isfinite(ttl) and terms.shortest <= ttl <= terms.ceiling):
            raise Invalid(
                "LEASE_TTL",
                f"A lease lasts {terms.shortest:g} to {terms.ceiling:g} seconds; ask for one of these.",
                field="ttl",
                limit=int(terms.ceiling),
            )
        return ttl


def _check(condition: bool, field: str, sentence: str) -> None:
    if not condition:
        raise Invalid("GRANT_MALFORMED", sentence, field=field)
