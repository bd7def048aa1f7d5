"""Owners as pseudonyms: HMAC-SHA256 under a random key of the day, which Redis forgets soon after the day's end.

See docs/decisions/0003-pseudonym-key.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

from mesh.clock import Clock
from mesh.tasks import Tasks
from services.purge.registry import Registry

_DAY = timedelta(days=1)
_FORGET_EVERY = 1.0  # seconds; how much longer than in Redis a key may stay in memory
_REFRESH = 5.0  # seconds between two looks at the registry's key: one that was flushed away is put back


class Pseudonyms:
    """A component: it drops a key when its time has come, whether or not anybody asks.

    ceiling: seconds of the longest lease; a day's key outlives the day by as much, for the leases from its end.
    """

    def __init__(self, registry: Registry, clock: Clock, ceiling: float) -> None:
        self._registry = registry
        self._clock = clock
        self._ceiling = ceiling
        self._keys: dict[str, tuple[bytes, float]] = {}
        self._asking: dict[tuple[str, bool], asyncio.Task[bytes | None]] = {}
        self._tasks = Tasks()

    @property
    def known_days(self) -> list[str]:
        """The days whose keys are in memory."""
        return sorted(self._keys)

    async def start(self) -> None:
        self._tasks.spawn(self._forget_on())

    async def stop(self) -> None:
        """No key outlives it either."""
        await self._tasks.cancel()
        self._keys.clear()

    def day(self) -> str:
        """Today, UTC, YYYY-MM-DD."""
        return self._today().strftime("%Y-%m-%d")

    async def current(self, owner_digest: bytes) -> str:
        """The owner's pseudonym for a lease that is granted now. Raises Unavailable."""
        key = await self._key(self._today(), create=True)
        assert key is not None
        return _pseudonym(key, owner_digest)

    async def possible(self, owner_digest: bytes) -> list[str]:
        """Every pseudonym that a lease of this owner may still carry. Raises Unavailable."""
        days = [self._today(), self._today() - _DAY]
        keys = [await self._key(day, create=False) for day in days]
        return [_pseudonym(key, owner_digest) for key in keys if key is not None]

    async def _key(self, day: datetime, *, create: bool) -> bytes | None:
        name, now = day.strftime("%Y-%m-%d"), self._clock.monotonic()
        ttl = self._left(day)
        if ttl <= 0:
            self._keys.pop(name, None)
            return None
        known = self._keys.get(name)
        if known is not None and now - known[1] < _REFRESH:
            return known[0]
        proposal = known[0] if known else secrets.token_bytes(32) if create else None
        asking = self._asking.get((name, create))
        if asking is None:
            # Once for all who want it: at midnight, or at the start, that is everybody at once.
            asking = self._asking[name, create] = self._tasks.spawn(self._registry.day_key(name, ttl, proposal))
            asking.add_done_callback(lambda _: self._asking.pop((name, create)))
        key = await asyncio.shield(asking)
        if key is not None:
            self._keys[name] = (key, now)
        return key

    def _left(self, day: datetime) -> float:
        """Seconds that the day's key may still be known."""
        return (day + _DAY).timestamp() + self._ceiling - self._clock.wall()

    async def _forget_on(self) -> None:
        while True:
            await self._clock.sleep(_FORGET_EVERY)
            for name in self.known_days:
                if self._left(datetime.strptime(name, "%Y-%m-%d").replace(tzinfo=UTC)) <= 0:
                    del self._keys[name]

    def _today(self) -> datetime:
        now = datetime.fromtimestamp(self._clock.wall(), UTC)
        return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _pseudonym(key: bytes, owner_digest: bytes) -> str:
    return hmac.new(key, owner_digest, hashlib.sha256).hexdigest()[:32]
