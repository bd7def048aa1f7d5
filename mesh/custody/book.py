"""What this process holds, kept by its own clock: every photo has an end here even if everybody else is gone (R4).

Source: design, rule R4 and "custody stream".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.errors import Cancelled, Invalid, MeshError, Overdue, Unavailable, no_such_photo
from mesh.metrics import MeshMetrics

PHOTO_ID = re.compile(r"[0-9a-f]{32}\Z")
REGISTRY = re.compile(r"([a-z0-9][a-z0-9.-]{0,62})?\Z")
"""A replica's name (MAYFLY_INSTANCE), or empty."""
MAX_LEASE_SECONDS = 600.0
"""No holder believes in a lease that lasts longer than this, whoever says so."""


@dataclass(frozen=True, slots=True)
class LeaseRef:
    """Which photo, and until when it may be held (Unix seconds). registry: the replica of purge that keeps the lease;
    empty when that isn't known.
    """

    photo_id: str
    expire_time: float
    registry: str = ""

    def __post_init__(self) -> None:
        if not PHOTO_ID.match(self.photo_id):
            raise Invalid("MALFORMED_PHOTO_ID", "A photo id is 32 lowercase hex digits.", field="photo_id")
        if not REGISTRY.match(self.registry):
            raise Invalid("MALFORMED_REGISTRY", "A replica's name is a lowercase word, at most 63.", field="registry")


class Custody:
    """One photo in this process's hands, from before its first byte is read until no byte is referenced."""

    def __init__(self, book: CustodyBook, lease: LeaseRef, drop: Callable[[MeshError], None], remaining: float) -> None:
        self.lease = lease
        self.began = book.clock.monotonic()
        self.ends = self.began + remaining
        self.byte_count = 0
        self.dropped: MeshError | None = None
        self._book = book
        self._drop = drop
        self._timer = asyncio.get_running_loop().call_later(remaining, self._overdue)
        self._released = False

    def took(self, byte_count: int) -> None:
        """Counts bytes that came in; all are given back at the release, and what is counted later doesn't count."""
        if self._released:
            return
        self.byte_count += byte_count
        self._book.metrics.custody_bytes.inc(byte_count)

    @contextmanager
    def passing(self, byte_count: int) -> Iterator[None]:
        """Counts bytes that are in hand only while they are passed on."""
        self.took(byte_count)
        try:
            yield
        finally:
            self.took(-byte_count)

    def drop(self, error: MeshError, reason: str) -> None:
        """Ends the work that holds the photo; the holder still has to release it. Only the first call counts."""
        if self.dropped is None and not self._released:
            self.dropped = error
            self._book.metrics.custody_dropped.labels(self._book.service, reason).inc()
            self._drop(error)

    def release(self) -> None:
        """No byte of the photo is referenced any more. Safe to call twice."""
        if self._released:
            return
        self._released = True
        self._timer.cancel()
        self._book.released(self)

    def _overdue(self) -> None:
        self.drop(Overdue("LEASE_EXPIRED", "The lease ended before the work did; try again."), "overdue")


class CustodyBook:
    """All custody of one process. ``listener`` hears of each change.

    Which replicas of purge listen is told by ``attend`` and ``leave``; a photo is taken only while its own one does.
    """

    def __init__(self, service: str, clock: Clock, metrics: MeshMetrics) -> None:
        self.service = service
        self.clock = clock
        self.metrics = metrics
        self.listener: CustodyListener | None = None
        self.after_release: Callable[[], None] = lambda: None
        """Called when a photo has gone; what it may have left in memory is swept up then."""
        self._attended: dict[str, str] = {}
        self._held: dict[str, Custody] = {}
        self._revoked: dict[str, float] = {}
        self._unleased = metrics.unleased.labels(service)  # from 0 on, so that the first one is seen as a rise
        metrics.custody_oldest.set_function(self._oldest)
        metrics.custody_overdue.set_function(self._overdue)

    @property
    def held(self) -> list[str]:
        """The ids of the photos held now."""
        return list(self._held)

    @property
    def attended(self) -> Mapping[str, str]:
        """The replicas of purge that listen now: target → name; the name is empty if it hasn't said one."""
        return self._attended

    def attend(self, target: str, registry: str = "") -> None:
        """The replica at ``target`` listens from now on, and is called ``registry``."""
        self._attended[target] = registry

    def leave(self, target: str) -> None:
        """It doesn't listen any more. What is held stays, until its end."""
        self._attended.pop(target, None)

    def is_attended(self, registry: str = "") -> bool:
        """Whether that replica listens; without a name, whether any does."""
        # One that hasn't said its name is older than names are, and then it is the only one.
        return bool(self._attended) if not registry else bool({registry, ""} & set(self._attended.values()))

    def hold(self, lease: LeaseRef, drop: Callable[[MeshError], None]) -> Custody:
        """Takes custody of a photo, before its first byte is read.

        ``drop`` is called at most once, from the event loop, when the photo must go: it ends the work, which then
        releases.
        Raises Unavailable while the replica of purge that keeps the lease doesn't listen, NotFound for a revoked
        photo, Overdue after the lease's end, Invalid if this process holds the photo already (a photo serves one
        request).
        """
        if not self.is_attended(lease.registry):
            raise Unavailable(
                "REGISTRY_UNAVAILABLE", "The registry is away; no photo is taken. Try again shortly.", retry_after=1.0
            )
        self._forget_revocations()
        if lease.photo_id in self._revoked:
            raise no_such_photo()
        if lease.photo_id in self._held:
            raise Invalid("PHOTO_IN_USE", "This photo already serves a request.", field="photo_id")
        # The wall clock is read once, here: from now on the photo's end is kept by the monotonic one.
        remaining = min(lease.expire_time - self.clock.wall(), MAX_LEASE_SECONDS)
        if remaining <= 0:
            raise Overdue("LEASE_EXPIRED", "The lease has ended; start again.")
        custody = Custody(self, lease, drop, remaining)
        self._held[lease.photo_id] = custody
        self.metrics.custody_photos.inc()
        if self.listener is not None:
            self.listener.held(lease)
        return custody

    def unleased(self) -> None:
        """A photo came without a live lease: with none at all, or with one that has ended or was taken back (R1)."""
        self._unleased.inc()

    def revoke(self, lease: LeaseRef) -> None:
        """Drops the photo if it is here, takes nothing of it from now on, and confirms once it is gone."""
        self._forget_revocations()
        self._revoked.pop(lease.photo_id, None)  # the oldest stands first
        self._revoked[lease.photo_id] = self.clock.monotonic() + MAX_LEASE_SECONDS
        custody = self._held.get(lease.photo_id)
        if custody is not None:
            custody.drop(Cancelled("PHOTO_REVOKED", "The photo was taken back."), "revoked")
        elif self.listener is not None:
            self.listener.revocation_confirmed(lease)

    def released(self, custody: Custody) -> None:
        """Called by the custody itself."""
        photo_id = custody.lease.photo_id
        del self._held[photo_id]
        seconds = self.clock.monotonic() - custody.began
        self.metrics.custody_photos.dec()
        self.metrics.custody_bytes.dec(custody.byte_count)
        self.metrics.custody_seconds.observe(seconds)
        if self.listener is not None:
            self.listener.released(custody.lease, seconds)
            if photo_id in self._revoked:
                self.listener.revocation_confirmed(custody.lease)
        self.after_release()

    def _forget_revocations(self) -> None:
        now = self.clock.monotonic()
        while self._revoked and next(iter(self._revoked.values())) <= now:
            del self._revoked[next(iter(self._revoked))]

    def _oldest(self) -> float:
        began = [custody.began for custody in list(self._held.values())]
        return self.clock.monotonic() - min(began) if began else 0.0

    def _overdue(self) -> float:
        now = self.clock.monotonic()
        return float(sum(custody.ends < now for custody in list(self._held.values())))


class CustodyListener:
    """Hears of custody as it changes. The custody stream is one; the base class hears nothing."""

    def held(self, lease: LeaseRef) -> None:
        """A photo is about to be read."""

    def released(self, lease: LeaseRef, seconds: float) -> None:
        """A photo is gone, after so many seconds."""

    def revocation_confirmed(self, lease: LeaseRef) -> None:
        """A revocation is carried out."""
