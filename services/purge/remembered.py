"""Leases that have ended, remembered until they would have expired: who still has something of them must drop it."""

from __future__ import annotations

from mesh.clock import Clock

_PERIOD = 60.0  # seconds; leases that expire in the same period are forgotten together, so that it costs nothing


class Remembered:
    """photo_id → expire, Unix seconds. Forgets each at most a minute after its expiry."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._periods: dict[int, dict[str, float]] = {}

    def add(self, photo_id: str, expire: float) -> None:
        self._periods.setdefault(int(expire // _PERIOD), {})[photo_id] = expire

    def get(self, photo_id: str) -> float | None:
        """Looks into one table per minute of the longest lease."""
        for leases in self._periods.values():
            if (expire := leases.get(photo_id)) is not None:
                return expire
        return None

    def photo_ids(self) -> list[str]:
        return [photo_id for leases in self._periods.values() for photo_id in leases]

    def forget(self) -> None:
        now = self._clock.wall()
        for period in [p for p in self._periods if (p + 1) * _PERIOD <= now]:
            del self._periods[period]
