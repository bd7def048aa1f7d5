"""The daily quota of an owner, counted in the registry; purge itself only remembers who has used it up."""

from __future__ import annotations

from mesh.errors import Exhausted


class Quota:
    """limit: leases of one owner in one day, over all replicas of purge."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._day = ""
        self._spent: set[str] = set()

    def require(self, owner: str, day: str) -> None:
        """Raises Exhausted for an owner (a pseudonym) who is known to have nothing left on ``day``.

        An owner who isn't known yet is let through: the count comes with the lease, at no round trip of its own.
        """
        if day == self._day and owner in self._spent:
            raise Exhausted("QUOTA_EXCEEDED", "Today's photos are used up; come back tomorrow.", limit=self._limit)

    def counted(self, owner: str, day: str, count: int) -> bool:
        """Takes note of the registry's count, the new lease included; False if that lease is one too many."""
        if day != self._day:
            self._day, self._spent = day, set()
        if count >= self._limit:
            self._spent.add(owner)
        return count <= self._limit
