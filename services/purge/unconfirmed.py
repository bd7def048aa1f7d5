"""Ended leases of which a holder has not let go yet, and which of them can't be moved any more.

A holder that neither confirms nor dies keeps its entry: what nobody knows, nobody may guess. Past the lease's end it is
irrevocable, as a lease of a secrets manager is whose secret could not be revoked; it stays visible until somebody acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mesh.clock import Clock

GRACE = 1.0  # seconds past a lease's end that a holder has to say that it let go


@dataclass(frozen=True, slots=True)
class Irrevocable:
    """holder: "service/instance/epoch". since: Unix seconds; when the photo should have been gone."""

    photo_id: str
    holder: str
    since: float


class Unconfirmed:
    """Pairs of photo and holder."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expiry: dict[tuple[str, str], float] = {}

    def __len__(self) -> int:
        return len(self._expiry)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(list(self._expiry))

    def add(self, photo_id: str, holders: Iterable[str], expire: float) -> None:
        """expire: when the lease ends or would have ended, Unix seconds."""
        self._expiry |= {(photo_id, holder): expire for holder in holders}

    def confirm(self, photo_id: str, holder: str) -> None:
        """The holder has nothing of it."""
        self._expiry.pop((photo_id, holder), None)

    def bury(self, place: str, alive: str) -> None:
        """All other processes at ``place`` ("service/instance") are dead."""
        prefix = f"{place}/"
        self._expiry = {
            (photo_id, holder): expire
            for (photo_id, holder), expire in self._expiry.items()
            if not holder.startswith(prefix) or holder == alive
        }

    def irrevocable(self) -> list[Irrevocable]:
        """The oldest first."""
        now = self._clock.wall()
        found = [
            Irrevocable(photo_id, holder, expire + GRACE)
            for (photo_id, holder), expire in list(self._expiry.items())
            if expire + GRACE <= now
        ]
        return sorted(found, key=lambda each: each.since)
