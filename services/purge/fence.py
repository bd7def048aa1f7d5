"""The point of no return of an end: here a receipt becomes this replica's to log, and nobody else's.

The registry decides it, atomically with the lease's home: whoever may log a receipt has deleted the lease's record, so
that nobody can adopt it any more. A replica that was out of sight since it took the lease looks before that in the logs
of the others: somebody may have been here before, and the registry have lost it.
"""

from __future__ import annotations

import contextlib

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.transparency.dsse import Envelope
from services.purge.book import Entry
from services.purge.ledger import UNLOGGED, Logged
from services.purge.presence import Presence
from services.purge.registry import Moved, Registry, Reply
from services.purge.shards import Shards

_RETRY = 1.0  # seconds between attempts at a registry, or at a log, that is away


class Fence:
    """shards: the other replicas' logs; empty when this replica is the only one."""

    def __init__(self, *, registry: Registry, presence: Presence, shards: Shards, clock: Clock) -> None:
        self._registry = registry
        self._presence = presence
        self._shards = shards
        self._clock = clock

    def is_certain(self, entry: Entry) -> bool:
        """Whether it is certain, without a question, that no other replica can have ended this lease."""
        return not self._shards or self._presence.was_in_sight(entry.taken)

    async def commit(self, entry: Entry, envelope: Envelope) -> Envelope:
        """The receipt that is to be logged: this one, or the one that an earlier attempt has fixed.

        Raises Moved when another replica ends the lease, or has. Waits until that is known; a replica that is the only
        one does not wait for a registry that is away.
        """
        if not self._shards and not self._registry.link.up:
            return envelope  # a second time-out would only hold the receipt up
        while True:
            try:
                return await self._commit(entry, envelope)
            except Unavailable:
                if not self._shards:
                    return envelope
            await self._clock.sleep(_RETRY)

    async def _commit(self, entry: Entry, envelope: Envelope) -> Envelope:
        photo_id, home = entry.photo_id, self._registry.home
        if self._shards and not await self._presence.is_certain(entry.taken):
            # Also with a record: a failover may have brought it back after another replica had ended the lease.
            await self._ask_the_others(entry)
        reply = await self._registry.commit(photo_id, Logged(UNLOGGED, envelope, home).to_bytes())
        if reply is Reply.MOVED:
            raise Moved
        if reply is Reply.OK:
            return envelope
        earlier = await self._registry.receipt(photo_id)
        return envelope if earlier is None else self._own(Logged.from_bytes(earlier)).envelope

    async def _ask_the_others(self, entry: Entry) -> None:
        """Raises Moved if one of them has ended the lease, Unavailable as long as that is unknown."""
        home = (await self._registry.homes([entry.photo_id])).get(entry.photo_id, self._registry.home)
        if home != self._registry.home:
            raise Moved
        earlier = await self._registry.receipt(entry.photo_id)
        if earlier is not None:
            self._own(Logged.from_bytes(earlier))
        elif await self._shards.ended(entry.photo_id, entry.expire):
            with contextlib.suppress(Moved):
                await self._registry.finish(entry.photo_id, b"", entry.grant.owner if entry.grant else "")
            raise Moved(ended=True)

    def _own(self, logged: Logged) -> Logged:
        """Raises Moved for another's."""
        if logged.registry not in ("", self._registry.home):
            raise Moved(ended=logged.index != UNLOGGED)
        return logged
