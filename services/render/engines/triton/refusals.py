"""What a job hears of a pool that doesn't do its work. Nothing that the pool said is in it."""

from __future__ import annotations

from mesh.errors import Cancelled, Overdue, Unavailable

_SHORTLY = 2.0  # seconds


def away() -> Unavailable:
    """No endpoint is there, or the one that worked on it has gone."""
    return Unavailable("POOL_AWAY", "The inference pool is away; try again shortly.", retry_after=_SHORTLY)


def busy(retry_after: float | None = None) -> Unavailable:
    return Unavailable("POOL_BUSY", "The inference pool is full; try again shortly.", retry_after=retry_after or 5.0)


def too_slow() -> Unavailable:
    return Unavailable("POOL_TOO_SLOW", "The inference pool took too long; try again shortly.", retry_after=5.0)


def failed() -> Unavailable:
    """It answered with an error."""
    return Unavailable("POOL_FAILED", "The inference pool failed; try again shortly.", retry_after=_SHORTLY)


def nonsense() -> Unavailable:
    """It answered with something that isn't an answer to what it was asked."""
    return Unavailable(
        "POOL_ANSWERED_NONSENSE", "The inference pool gave no usable answer; try again shortly.", retry_after=_SHORTLY
    )


def overdue() -> Overdue:
    return Overdue("LEASE_EXPIRED", "The lease ended before the work did; try again.")


def cancelled() -> Cancelled:
    return Cancelled("RENDER_CANCELLED", "The render was taken back.")
