"""Reports of custody on their way to one replica of purge: in order, in numbered batches, kept until acknowledged.

What is kept is bounded, however long the replica is away: see ``compact``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

MAX_EVENTS = 64
"""Events of one batch."""
MAX_UNACKNOWLEDGED = 256
"""Batches that were sent and not acknowledged; then the rest waits."""
MAX_UNSENT = 4096
"""Events that wait for a batch. A replica that is so far behind is sent no new photos."""


class Change(Enum):
    """What happened to a photo (custody.proto)."""

    HELD = "held"
    RELEASED = "released"
    CONFIRMED = "revocation confirmed"


@dataclass(frozen=True, slots=True)
class Event:
    """One report. registry: the replica that keeps the lease, empty if unknown. micros: microseconds held."""

    photo_id: str
    registry: str
    change: Change
    micros: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """sequence: 1, 2, 3, … The same sequence always says the same."""

    sequence: int
    events: Sequence[Event]


class Outbox:
    """One replica's."""

    def __init__(self) -> None:
        self._unsent: deque[Event] = deque()
        self._unacknowledged: deque[Batch] = deque()
        self._sequence = 0

    @property
    def unacknowledged(self) -> list[Batch]:
        """What a new stream has to send again, in order."""
        return list(self._unacknowledged)

    @property
    def is_empty(self) -> bool:
        """Everything is acknowledged."""
        return not self._unsent and not self._unacknowledged

    @property
    def is_full(self) -> bool:
        return len(self._unsent) > MAX_UNSENT

    @property
    def may_send(self) -> bool:
        """Whether there is something to send, and room for it on the way."""
        return bool(self._unsent) and len(self._unacknowledged) < MAX_UNACKNOWLEDGED

    @property
    def is_awaited(self) -> bool:
        """Whether an acknowledgement is due."""
        return bool(self._unacknowledged)

    def add(self, event: Event) -> None:
        self._unsent.append(event)

    def next_batch(self) -> Batch:
        """Takes the oldest events; to be sent now."""
        self._sequence += 1
        events = [self._unsent.popleft() for _ in range(min(MAX_EVENTS, len(self._unsent)))]
        batch = Batch(self._sequence, events)
        self._unacknowledged.append(batch)
        return batch

    def acknowledge(self, sequence: int) -> None:
        """Every batch up to this one is safe."""
        while self._unacknowledged and self._unacknowledged[0].sequence <= sequence:
            self._unacknowledged.popleft()

    def compact(self, registry: str) -> None:
        """Forgets, while the replica called ``registry`` is away, what its next hello says as well.

        That is everything about other replicas' leases, except of photos that are in a batch which it may have heard:
        it must hear the rest then. What stays is about its own leases, and those take no new photo while it is away.
        """
        heard = {event.photo_id for batch in self._unacknowledged for event in batch.events}
        self._unsent = deque(
            event for event in self._unsent if event.registry in ("", registry) or event.photo_id in heard
        )

    def __len__(self) -> int:
        """Events that are not acknowledged."""
        return len(self._unsent) + sum(len(batch.events) for batch in self._unacknowledged)
