"""How many photos are let in at a time, overall and of one owner."""

from __future__ import annotations

from collections import Counter
from types import TracebackType

from mesh.errors import Exhausted, Invalid
from services.gateway.metrics import GatewayMetrics


class Admission:
    """Bounds the photos in flight, and with them the gateway's memory."""

    def __init__(self, *, max_photos: int, max_per_owner: int, max_photo_bytes: int, metrics: GatewayMetrics) -> None:
        self._max_photos = max_photos
        self._max_per_owner = max_per_owner
        self.max_photo_bytes = max_photo_bytes
        self._metrics = metrics
        self._owners: Counter[bytes] = Counter()
        metrics.limit.set(max_photos)

    def admit(self, owner: bytes, declared_bytes: int) -> Ticket:
        """A ticket for one photo. Invalid(PHOTO_TOO_LARGE); Exhausted(GATEWAY_FULL, OWNER_BUSY)."""
        if declared_bytes > self.max_photo_bytes:
            raise Invalid(
                "PHOTO_TOO_LARGE",
                f"The photo is larger than {self.max_photo_bytes} bytes; send a smaller one.",
                field="start.byte_count",
                limit=self.max_photo_bytes,
            )
        if self._owners.total() >= self._max_photos:
            raise Exhausted("GATEWAY_FULL", "Too many photos are on their way; try again shortly.", retry_after=2.0)
        if self._owners[owner] >= self._max_per_owner:
            raise Exhausted(
                "OWNER_BUSY", "Too many of your photos are on their way; wait for one to finish.", retry_after=2.0
            )
        return Ticket(self, owner)

    def enter(self, owner: bytes) -> None:
        self._owners[owner] += 1
        self._metrics.in_flight.inc()

    def leave(self, owner: bytes) -> None:
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]
        self._metrics.in_flight.dec()


class Ticket:
    """A place among the photos in flight, given back at the end of ``with``."""

    def __init__(self, admission: Admission, owner: bytes) -> None:
        self._admission, self._owner = admission, owner
        admission.enter(owner)

    def __enter__(self) -> None:
        """The place was taken when the ticket was made."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._admission.leave(self._owner)
