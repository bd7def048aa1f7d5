"""How long photos stayed, and how long too long: measured once a lease has its receipt and its keys are gone.

By the monotonic clock, so that a step of the wall clock is neither a photo that stayed nor one that went in time; by
the wall clock only across a restart. Where a crash has lost a moment, the one that makes the figure larger is taken:
these figures are promises.
"""

from __future__ import annotations

import math

from services.purge.metrics import PurgeMetrics
from services.purge.registry import GRACE


class Residency:
    """longest: seconds that a lease can last; for leases of which only the log is left, which says when they expire."""

    def __init__(self, metrics: PurgeMetrics, longest: float) -> None:
        self._metrics = metrics
        self.longest = longest

    def over(
        self, outcome: str, *, granted: float | None, due: float, expire: float, now: float, receipted: float = math.inf
    ) -> None:
        """Nothing is left of a photo. All times are in seconds by one and the same clock.

        granted:    when its lease began; None if nobody knows that any more.
        due:        when somebody first wanted its end.
        receipted:  when it got its receipt, if not just now: then its keys were left over, with their TTL.
        """
        # Redis deletes by itself what nobody could delete, so that is when the keys were gone at the latest.
        over = min(now, max(receipted, expire + GRACE))
        began = expire - self.longest if granted is None else granted
        self._metrics.residency.labels(outcome).observe(max(0.0, over - began))
        self._metrics.deletion_lag.labels(outcome).observe(max(0.0, over - min(due, expire)))
