"""The point of no return of an end: here a receipt becomes this replica's to log, and nobody else's.

The registry decides it, atomically with the lease's home: whoever may log a receipt has deleted the lease's record, so
that nobody can adopt it any more. Where there is no record, somebody else may have been here before: its receipt is
looked for, in the registry and, if this replica was out of sight meanwhile, in the logs of the others.
"""

from __future__ import annotations

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.transparency.dsse import Envelope
from services.purge.book import Entry
from services.purge.ledger import Logged
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

    async def _earlier(self, entry: Entry) -> Logged | None:
        """Without a record: the receipt that there is all the same. Raises Moved for another's, Unavailable."""
        stored = await self._registry.receipt(entry.photo_id)
        if stored is not None:
            logged = Logged.from_bytes(stored)
            if logged.registry != self._registry.home:
                raise Moved(ended=logged.index >= 0)
            return logged
        if not self._shards or await self._presence.is_certain(entry.taken):
            return None
        if await self._shards.ended(entry.photo_id, entry.expire):
            raise Moved(ended=True)
        return None

    async def _commit(self, entry: Entry, envelope: Envelope) -> Envelope:
        mine = Logged(-1, envelope, self._registry.home)
        reply = await self._registry.commit(entry.photo_id, mine.to_bytes())
        if reply is Reply.MOVED:
            raise Moved
        if reply is Reply.OK:
            return envelope
        earlier = await self._earlier(entry)
        return envelope if earlier is None else earlier.envelope
