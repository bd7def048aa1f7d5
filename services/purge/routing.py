"""Which replica answers for a photo: this one, another, or this one after all because the other is dead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from mesh.errors import Unavailable
from services.purge.adoption import Adoption
from services.purge.book import Book
from services.purge.registry import Moved, Registry

T = TypeVar("T")


class Routing:
    def __init__(self, *, registry: Registry, book: Book, adoption: Adoption) -> None:
        self._registry = registry
        self._book = book
        self._adoption = adoption

    async def at_home(self, photo_id: str, call: Callable[[], Awaitable[T]]) -> T:
        """The call's result, made here if this replica keeps the lease, or if there is none.

        Raises Unavailable: LEASE_ELSEWHERE with the replica that keeps it, REGISTRY_UNAVAILABLE.
        """
        await self.require(photo_id)
        try:
            return await call()
        except Moved:
            await self.require(photo_id)
        try:
            return await call()
        except Moved:
            raise Unavailable(
                "REGISTRY_UNAVAILABLE", "The lease is changing hands; try again.", retry_after=1
            ) from None

    async def require(self, photo_id: str) -> None:
        """As ``at_home``, before a call that is made once."""
        home = await self.elsewhere(photo_id)
        if home is not None:
            raise elsewhere(home)

    async def elsewhere(self, photo_id: str) -> str | None:
        """The living replica that keeps the lease, None if it is this one or nobody. Adopts a dead one's.

        Raises Unavailable.
        """
        if self._book.get(photo_id) is not None or self._book.expiry(photo_id) is not None:
            return None
        for _ in range(2):  # another replica may adopt it meanwhile
            record = await self._registry.read(photo_id)
            if record is None:
                return None
            if record.home == self._registry.home:
                if self._book.get(photo_id) is None and self._book.expiry(photo_id) is None:
                    await self._adoption.tend(photo_id, record)
                return None
            if not await self._adoption.take(photo_id, record.home):
                return record.home
            if self._book.get(photo_id) is not None:
                return None
        raise Unavailable("REGISTRY_UNAVAILABLE", "The lease is changing hands; try again.", retry_after=1)


def elsewhere(home: str) -> Unavailable:
    """Ask that replica."""
    return Unavailable(
        "LEASE_ELSEWHERE", "Another replica of purge keeps this lease; ask that one.", retry_after=1, registry=home
    )
