"""Finished pictures that wait for their owner, as ciphertext, one segment in memory at a time."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence

from mesh.clock import Clock
from mesh.errors import Aborted, Invalid, Unavailable
from services.purge.book import Book
from services.purge.ending import gone
from services.purge.lease import Lease
from services.purge.registry import Claimed, Registry, Reply

MAX_SEGMENT = (1 << 20) + 16  # bytes: 1 MiB and an AEAD tag


class Parking:
    """limit: bytes that one picture may have. safe: raises Unavailable while the registry's Redis must not be used."""

    def __init__(self, *, registry: Registry, book: Book, clock: Clock, limit: int, safe: Callable[[], None]) -> None:
        self._registry = registry
        self._book = book
        self._clock = clock
        self._limit = limit
        self._safe = safe

    async def begin(self, photo_id: str, holders: Sequence[str]) -> Berth:
        """A place for one picture. NotFound: no such live lease. Invalid: it is parked already."""
        self._safe()
        _expect(await self._registry.park_begin(photo_id, self._clock.wall(), holders), self._limit)
        self._book.move(photo_id, lambda lease: lease.expect(holders))
        return Berth(self._registry, self._book, self._clock, self._limit, photo_id)

    async def claim(self, photo_id: str, secret: bytes, claimant: str, owners: Sequence[str]) -> Claimed:
        """Of all claims at once, one wins, and only that ``claimant`` may come again.

        NotFound: no such lease, another's, a wrong secret, or claimed already. Unavailable (NOT_PARKED_YET): it is
        this owner's, and still being made.
        """
        reply = await self._registry.claim(photo_id, self._clock.wall(), _digest(secret), claimant, owners)
        if reply is Reply.WAIT:
            raise Unavailable("NOT_PARKED_YET", "The picture is still being made; try again.", retry_after=1)
        if not isinstance(reply, Claimed):
            raise gone()
        self._book.move(photo_id, lambda lease: lease.claim(claimant))
        return reply

    async def segments(self, photo_id: str, count: int) -> AsyncIterator[bytes]:
        """A claimed picture's ciphertext. NotFound when the lease ends meanwhile."""
        for index in range(count):
            segment = await self._registry.segment(photo_id, index)
            if segment is None:
                raise gone()
            yield segment

    async def return_claim(self, photo_id: str, secret: bytes, claimant: str) -> None:
        """No byte has left: others may claim it. NotFound: it is not claimed by ``claimant``."""
        reply = await self._registry.return_claim(photo_id, self._clock.wall(), _digest(secret), claimant)
        if reply is not Reply.OK:
            raise gone()
        self._book.move(photo_id, lambda lease: lease.return_claim(claimant))


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


def _digest(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()
