"""Who is next: start-time fair queueing (Goyal, Vin & Cheng, 1996) over owners. No clock, no I/O.

Each owner is a flow. A photo's start tag is where its owner's last one ends, or the present, whichever is later; its
finish tag lies ``cost / weight`` behind that. The smallest start tag goes first. So an owner who sends fifty photos at
once waits behind another's first one, and an owner of twice the weight gets twice the work done, while nobody starves.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

CLASSES: Mapping[str, float] = {"standard": 1.0, "priority": 4.0}
"""Service classes and their default weights."""


@dataclass(slots=True, eq=False)
class Entry:
    """A photo that waits. cost: seconds of a slot, estimated. start, finish: virtual time, seconds at weight 1."""

    owner: bytes
    cost: float
    start: float
    finish: float
    number: int

    @property
    def rank(self) -> tuple[float, int]:
        return self.start, self.number


class FairQueue:
    """Its memory is what waits, and one number for each owner that was served ahead of the others."""

    def __init__(self) -> None:
        self._now = 0.0
        self._waiting: list[Entry] = []
        self._ends: dict[bytes, float] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Entry]:
        """In the order in which they will be served, if nothing else comes."""
        return iter(sorted(self._waiting, key=lambda entry: entry.rank))

    def push(self, owner: bytes, weight: float, cost: float) -> Entry:
        """weight: over 0. cost: seconds."""
        entry = self._entry(owner, weight, cost)
        self._ends[owner] = entry.finish
        self._waiting.append(entry)
        return entry

    def ahead_of(self, owner: bytes) -> list[Entry]:
        """What would be served before a photo of this owner that came now; in order."""
        start = self._start(owner)
        return [entry for entry in self if entry.start <= start]

    def pop(self) -> Entry | None:
        """Takes the next one out."""
        if not self._waiting:
            return None
        entry = min(self._waiting, key=lambda each: each.rank)
        self._waiting.remove(entry)
        self._now = max(self._now, entry.start)
        self._forget()
        return entry

    def remove(self, entry: Entry) -> None:
        """Takes one out that won't be served. If it was its owner's last, the owner doesn't pay for it."""
        self._waiting.remove(entry)
        if self._ends.get(entry.owner) == entry.finish:
            self._ends[entry.owner] = entry.start
        self._forget()

    def idle(self) -> None:
        """Nothing waits and nothing is worked on: what owners had is of no account any more."""
        self._now = max([self._now, *self._ends.values()])
        self._ends.clear()

    def _start(self, owner: bytes) -> float:
        return max(self._now, self._ends.get(owner, 0.0))

    def _entry(self, owner: bytes, weight: float, cost: float) -> Entry:
        start = self._start(owner)
        return Entry(owner, cost, start, start + cost / weight, next(self._numbers))

    def _forget(self) -> None:
        for owner in [owner for owner, end in self._ends.items() if end <= self._now]:
            del self._ends[owner]
