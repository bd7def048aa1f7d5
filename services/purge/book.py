"""Purge's own view of its leases: every grant without a receipt, who holds what, and who waits for a change.

In memory, rebuilt from the log and the registry at the start. It is what says that a lease still owes a receipt.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mesh.clock import Clock
from services.purge.lease import Holding, Lease, State, WrongState
from services.purge.record import Grant
from services.purge.waiting import first_of

Test = Callable[[Lease], bool]


@dataclass(slots=True)
class Entry:
    """One open lease.

    expire:    Unix seconds; ``deadline`` is the same moment on the monotonic clock.
    grant:     what was granted; None after a restart, until the registry has told.
    since:     when purge heard of each holder's custody, monotonic; not what it was told before a restart.
    parked:    bytes that are parked.
    """

    photo_id: str
    expire: float
    deadline: float
    grant: Grant | None = None
    lease: Lease = field(default_factory=Lease)
    since: dict[str, float] = field(default_factory=dict)
    parked: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Book:
    """``states``, ``held`` and ``lost`` are counts by state and by service; ``unconfirmed``: see ``close``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Entry] = {}
        self._ended: dict[str, float] = {}
        self.states: Counter[State] = Counter()
        self.held: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.parked_bytes = 0
        self.unconfirmed: set[tuple[str, str]] = set()
        self.opened: list[Callable[[Entry], None]] = []

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._open.values()))

    def get(self, photo_id: str) -> Entry | None:
        """The entry of a lease that has no receipt yet."""
        return self._open.get(photo_id)

    def open(self, photo_id: str, expire: float, grant: Grant | None = None, lease: Lease | None = None) -> Entry:
        """A grant that has no receipt yet."""
        deadline = self._clock.monotonic() + expire - self._clock.wall()
        entry = Entry(photo_id, expire, deadline, grant)
        self._open[photo_id] = entry
        self.states[entry.lease.state] += 1
        if lease is not None:
            self.change(entry, lease, heard=False)
        for callback in self.opened:
            callback(entry)
        return entry

    def change(self, entry: Entry, lease: Lease, *, heard: bool = True) -> None:
        """The lease's next state; wakes whoever waits for it.

        heard: whether a holder has just said so; otherwise nobody here knows since when it holds.
        """
        before, entry.lease = entry.lease, lease
        if lease is before:
            return
        if lease.state is not before.state:
            self.states[before.state] -= 1
            self.states[lease.state] += 1
        if heard:
            entry.since |= dict.fromkeys(lease.holders - before.holders, self._clock.monotonic())
        self._count(before, -1)
        self._count(lease, 1)
        for holder, custody in lease.custody.items():
            known = before.custody.get(holder)
            if custody.holding is Holding.LOST and (known is None or known.holding is not Holding.LOST):
                self.lost[service_of(holder)] += 1
        # A new event for each change: whoever waits took hold of the old one right after it had looked.
        entry.changed.set()
        entry.changed = asyncio.Event()

    def move(self, photo_id: str, transition: Callable[[Lease], Lease], parked: int | None = None) -> None:
        """Follows a transition that the registry has made; one that came too late for this view is left out."""
        entry = self._open.get(photo_id)
        if entry is None:
            return
        with contextlib.suppress(WrongState):
            self.change(entry, transition(entry.lease))
        if parked is not None:
            self.parked_bytes += parked - entry.parked
            entry.parked = parked

    async def wait(self, entry: Entry, test: Test, deadline: float) -> bool:
        """Until the lease passes ``test`` (True) or the monotonic ``deadline`` is there (False)."""
        while not test(entry.lease):
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            await first_of(entry.changed.wait(), self._clock.sleep(left))
        return True

    def close(self, entry: Entry, lease: Lease) -> None:
        """The lease has its receipt. Holders that had not released stay in ``unconfirmed`` until they do or die."""
        late = entry.lease.holders
        self.move(entry.photo_id, lambda _: lease, parked=0)
        self.states[lease.state] -= 1
        self._open.pop(entry.photo_id, None)
        self._ended[entry.photo_id] = entry.expire
        self.unconfirmed |= {(entry.photo_id, holder) for holder in late}

    def confirm(self, photo_id: str, holder: str) -> None:
        """A holder says, late, that it has nothing of an ended lease."""
        self.unconfirmed.discard((photo_id, holder))

    def late(self, photo_id: str, holder: str) -> None:
        """A holder says that it has a photo whose lease has ended."""
        self.unconfirmed.add((photo_id, holder))

    def bury(self, instance: str, epoch: str) -> list[tuple[str, str]]:
        """All that other epochs of ``service/instance`` held is LOST; returns these photos and holders."""
        dead: list[tuple[str, str]] = []
        prefix, alive = f"{instance}/", f"{instance}/{epoch}"
        for entry in self:
            for holder in entry.lease.holders:
                if holder.startswith(prefix) and holder != alive:
                    self.change(entry, entry.lease.lose(holder))
                    dead.append((entry.photo_id, holder))
        self.unconfirmed = {(p, h) for p, h in self.unconfirmed if not h.startswith(prefix) or h == alive}
        return dead

    def expiry(self, photo_id: str) -> float | None:
        """When an ended lease would have expired, Unix seconds; None once it is forgotten."""
        return self._ended.get(photo_id)

    def forget(self) -> None:
        """Drops what is remembered of ended leases whose expiry is past."""
        now = self._clock.wall()
        self._ended = {photo_id: expire for photo_id, expire in self._ended.items() if expire > now}

    def _count(self, lease: Lease, by: int) -> None:
        for holder in lease.holders:
            self.held[service_of(holder)] += by


def service_of(holder: str) -> str:
    """The service in "service/instance/epoch"."""
    return holder.partition("/")[0]


def merged(ours: Lease, registrys: Lease) -> Lease:
    """Our view, with what only the registry knows: holders and expectations from before a restart."""
    lease = registrys if ours.state is State.GRANTED and not ours.custody else ours
    custody = {**registrys.custody, **ours.custody}
    return Lease(lease.state, custody, ours.expected | registrys.expected, ours.end or registrys.end)
