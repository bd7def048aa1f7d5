"""An operator's word that no new photo shall come in for a while."""

from __future__ import annotations

import math

from mesh.clock import Clock
from mesh.errors import Invalid, Unavailable

MAX_SECONDS = 3600.0
_RETRY = 60.0  # seconds; what a client is told at most


class Pause:
    """In memory: a restart ends it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = -math.inf

    @property
    def seconds(self) -> float:
        """How long it still lasts; 0 when leases are granted."""
        return max(0.0, self._until - self._clock.monotonic())

    def begin(self, seconds: float) -> None:
        """From now on; 0 ends it. Invalid unless it is 0 to an hour."""
        if not 0 <= seconds <= MAX_SECONDS:
            raise Invalid("PAUSE_TOO_LONG", "A pause lasts 0 to 3600 seconds.", field="duration", limit=3600)
        self._until = self._clock.monotonic() + seconds

    def require_none(self) -> None:
        """Unavailable while it lasts."""
        if (left := self.seconds) > 0:
            raise Unavailable(
                "OPERATOR_PAUSED", "The operator lets no photos in for now; try again later.",
                retry_after=min(left, _RETRY),
            )  # fmt: skip
