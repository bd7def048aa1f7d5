"""Keys that could not be deleted when their lease ended, and its receipt, which the registry should keep."""

from __future__ import annotations

from collections.abc import Callable

from mesh.errors import Unavailable
from mesh.log import get_logger
from services.purge.book import Entry
from services.purge.ledger import Logged
from services.purge.registry import Moved, Registry

_log = get_logger()


class Leftovers:
    """Of leases that the registry did not end by itself."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._left: dict[str, tuple[bytes, str, Callable[[], None]]] = {}

    def receipt(self, photo_id: str) -> Logged | None:
        left = self._left.get(photo_id)
        return Logged.from_bytes(left[0]) if left is not None else None

    async def finish(self, entry: Entry, logged: Logged, gone: Callable[[], None]) -> None:
        """Deletes the keys of a lease that has its receipt; later, if that is not possible now. Then calls ``gone``."""
        photo_id = entry.photo_id
        self._left[photo_id] = logged.to_bytes(), entry.grant.owner if entry.grant else "", gone
        if not self._registry.link.up:
            return  # a second time-out would only hold the receipt up; the reaper comes back to it
        try:
            await self._finish(photo_id)
        except Unavailable:
            _log.warning("keys_left", photo_id=photo_id)

    async def clear(self) -> None:
        """Another attempt at all of them."""
        for photo_id in list(self._left):
            try:
                await self._finish(photo_id)
            except Unavailable:
                return

    async def _finish(self, photo_id: str) -> None:
        left = self._left.get(photo_id)
        if left is None:
            return  # whoever began before us is done
        try:
            await self._registry.finish(photo_id, left[0], left[1])
        except Moved:
            _log.warning("keys_left", photo_id=photo_id)
        if self._left.pop(photo_id, None) is not None:
            left[2]()
