"""Finished pictures that wait for their owner, as ciphertext, one segment in memory at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.errors import Aborted, Invalid, NotFound, Unavailable
from mesh.tasks import Tasks
from services.purge.book import Book
from services.purge.ending import gone
from services.purge.lease import Lease
from services.purge.registry import Claimed, Registry, Reply

MAX_SEGMENT = (1 << 20) + 16  # bytes: 1 MiB and an AEAD tag
_RETRY = 0.5  # seconds between attempts to give a claim back to a registry that is away


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who comes for a picture. secret: the claim secret. claimant: random, of one client's one collection.

    owners: every pseudonym that this owner's lease may carry.
    """

    secret: bytes
    claimant: str
    owners: Sequence[str]

    @property
    def digest(self) -> str:
        """What the registry knows the secret by."""
        return hashlib.sha256(self.secret).hexdigest()


@dataclass(frozen=True, slots=True)
class Handout:
    """A claimed picture. first: its first segment that is wanted; None when none is."""

    claimed: Claimed
    first: bytes | None


class Parking:
    """limit: bytes that one picture may have. safe: raises Unavailable while the registry's Redis must not be used."""

    def __init__(self, *, registry: Registry, book: Book, clock: Clock, limit: int, safe: Callable[[], None]) -> None:
        self._registry = registry
        self._book = book
        self._clock = clock
        self._limit = limit
        self._safe = safe
        self._tasks = Tasks()

    async def begin(self, photo_id: str, holders: Sequence[str]) -> Berth:
        """A place for one picture. NotFound: no such live lease. Invalid: it is parked already."""
        self._safe()
        _expect(await self._registry.park_begin(photo_id, self._clock.wall(), holders), self._limit)
        self._book.move(photo_id, lambda lease: lease.expect(holders))
        return Berth(self._registry, self._book, self._clock, self._limit, photo_id)

    async def claim(self, photo_id: str, who: Claimant, at: int = 0) -> Handout:
        """Of all claims at once, one wins, and only that claimant may come again. at: the first segment wanted, from 0.

        NotFound: no such lease, another's, a wrong secret, or claimed already. Unavailable (NOT_PARKED_YET): it is
        this owner's, and still being made. A caller that is cancelled or fails here has claimed nothing new.
        """
        # In a task of its own: whether the claim has won is only known once the registry has answered.
        work = self._tasks.spawn(self._hand_out(photo_id, who, at))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._tasks.spawn(self._undo(work, photo_id, who))
            raise

    async def segments(self, photo_id: str, handout: Handout, at: int = 0) -> AsyncIterator[bytes]:
        """A claimed picture's ciphertext from segment ``at`` on. NotFound when the lease ends meanwhile."""
        if handout.first is None:
            return
        yield handout.first
        for index in range(at + 1, handout.claimed.segments):
            yield await self._segment(photo_id, index)

    async def return_claim(self, photo_id: str, secret: bytes, claimant: str) -> None:
        """No byte has left: others may claim it. NotFound: it is not claimed by ``claimant``."""
        who = Claimant(secret, claimant, ())
        reply = await self._registry.return_claim(photo_id, self._clock.wall(), who.digest, claimant)
        if reply is not Reply.OK:
            raise gone()
        self._book.move(photo_id, lambda lease: lease.return_claim(claimant))

    async def require_claimed(self, photo_id: str, who: Claimant) -> None:
        """NotFound unless the picture is claimed by ``who``. A lease without a record passes: it has ended."""
        record = await self._registry.read(photo_id)
        if record is None:
            return
        grant, claimant = record.grant, record.lease.claimant
        if grant.verifier != who.digest or grant.owner not in who.owners or claimant != who.claimant:
            raise gone()

    async def stop(self) -> None:
        """Claims that were still to be given back stay with their claimants."""
        await self._tasks.wait(1)
        await self._tasks.cancel()

    async def _hand_out(self, photo_id: str, who: Claimant, at: int) -> Handout:
        reply = await self._registry.claim(photo_id, self._clock.wall(), who.digest, who.claimant, who.owners)
        if reply is Reply.WAIT:
            raise Unavailable("NOT_PARKED_YET", "The picture is still being made; try again.", retry_after=1)
        if not isinstance(reply, Claimed):
            raise gone()
        self._book.move(photo_id, lambda lease: lease.claim(who.claimant))
        try:
            if at > reply.segments:
                raise Invalid("RECEIVED_MESSAGES", "The picture has fewer messages.", field="received_messages")
            return Handout(reply, await self._segment(photo_id, at) if at < reply.segments else None)
        except BaseException:
            if not reply.again:
                self._tasks.spawn(self._give_back(photo_id, who, reply.expire))
            raise

    async def _segment(self, photo_id: str, index: int) -> bytes:
        segment = await self._registry.segment(photo_id, index)
        if segment is None:
            raise gone()
        return segment

    async def _undo(self, work: asyncio.Task[Handout], photo_id: str, who: Claimant) -> None:
        """Nobody waits for what ``work`` has claimed."""
        await asyncio.wait({work})
        if not work.cancelled() and work.exception() is None and not work.result().claimed.again:
            await self._give_back(photo_id, who, work.result().claimed.expire)

    async def _give_back(self, photo_id: str, who: Claimant, expire: float) -> None:
        while self._clock.wall() < expire:
            try:
                await self.return_claim(photo_id, who.secret, who.claimant)
                return
            except NotFound:
                return
            except Unavailable:
                await self._clock.sleep(_RETRY)


class Berth:
    """One picture that is being parked. Without its seal nobody can claim it; it goes with its lease."""

    def __init__(self, registry: Registry, book: Book, clock: Clock, limit: int, photo_id: str) -> None:
        self._registry = registry
        self._book = book
        self._clock = clock
        self._limit = limit
        self._photo_id = photo_id
        self._count = 0
        self._size = 0

    async def add(self, segment: bytes) -> None:
        """One segment of ciphertext. Invalid when it, or all of them together, are too large."""
        if not 0 < len(segment) <= MAX_SEGMENT:
            raise Invalid("SEGMENT_SIZE", "A segment has 1 byte to 1 MiB + 16.", field="segment", limit=MAX_SEGMENT)
        now = self._clock.wall()
        _expect(await self._registry.park_segment(self._photo_id, now, self._count, self._limit, segment), self._limit)
        self._count += 1
        self._size += len(segment)
        self._book.move(self._photo_id, lambda lease: lease, parked=self._size)

    async def seal(self, count: int) -> None:
        """Nothing more follows. Aborted when segments are missing, or none came."""
        if count < 1:
            raise Aborted("UNSEALED", "Nothing was parked before the seal; park it again.")
        _expect(await self._registry.park_seal(self._photo_id, self._clock.wall(), count), self._limit)
        self._book.move(self._photo_id, Lease.park)


def _expect(reply: Reply, limit: int) -> None:
    if reply is Reply.GONE:
        raise gone()
    if reply is Reply.SIZE:
        raise Invalid("RESULT_TOO_LARGE", "The picture is too large to be parked.", field="segment", limit=limit)
    if reply is Reply.COUNT:
        raise Aborted("UNSEALED", "The seal does not count the segments that came; park it again.")
    if reply is not Reply.OK:
        raise Invalid("ALREADY_PARKED", "This photo's picture is parked already.", field="photo_id")
