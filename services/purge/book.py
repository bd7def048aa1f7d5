"""Purge's own view of its leases: every grant without a receipt, who holds what, and who waits for a change.

In memory, rebuilt from the log and the registry at the start. It is what says that a lease still owes a receipt.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mesh.clock import Clock
from services.purge.lease import ENDED, Holding, Lease, State, WrongState
from services.purge.record import Grant
from services.purge.registry import Moved
from services.purge.remembered import Remembered
from services.purge.unconfirmed import Unconfirmed

Test = Callable[[Lease], bool]
_FRESH = Lease()
_NEVER: Mapping[str, float] = MappingProxyType({})


@dataclass(slots=True)
class Entry:
    """One open lease. There may be a million: what most of them don't need is None, or shared.

    expire:    Unix seconds; ``deadline`` is the same moment on the monotonic clock.
    grant:     what was granted; None after a restart, until the registry has told.
    since:     when purge heard of each holder's custody, monotonic; not what it was told before a restart.
    parked:    bytes that are parked.
    taken:     since when this replica knows that the lease is its own, monotonic; -infinity after a restart, until the
               registry has confirmed it.
    due:       when somebody first wanted its end, monotonic; infinity before that.
    doubtful:  whether its end was sent to the registry, and no answer came.
    waiters:   woken by the next change.
    """

    photo_id: str
    expire: float
    deadline: float
    grant: Grant | None = None
    lease: Lease = _FRESH
    since: Mapping[str, float] = field(default_factory=lambda: _NEVER)
    parked: int = 0
    taken: float = 0.0
    due: float = math.inf
    doubtful: bool = False
    waiters: list[asyncio.Future[None]] | None = None

    def wake(self) -> None:
        """Lets whoever waits look again."""
        waiters, self.waiters = self.waiters, None
        for future in waiters or ():
            if not future.done():
                future.set_result(None)


class Book:
    """``states``, ``held`` and ``lost`` are counts by state and by service; ``unconfirmed``: see ``close``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Entry] = {}
        self._ended = Remembered(clock)
        self._by_holder: dict[str, dict[str, Entry]] = {}
        self.states: Counter[State] = Counter()
        self.held: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.parked_bytes = 0
        self.unconfirmed = Unconfirmed(clock)
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
        now = self._clock.monotonic()
        entry = Entry(photo_id, expire, now + expire - self._clock.wall(), grant, taken=now)
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
        if lease.custody is not before.custody:
            self._count(entry, before, lease, heard=heard)
        entry.wake()

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
        """Until the lease passes ``test`` (True) or the monotonic ``deadline`` is there (False).

        Raises Moved when it has become another replica's.
        """
        if self._passes(entry, test):
            return True
        if (left := deadline - self._clock.monotonic()) <= 0:
            return False
        timer = asyncio.ensure_future(self._clock.sleep(left))
        timer.add_done_callback(lambda _: entry.wake())
        try:
            while not self._passes(entry, test):
                if timer.done():
                    return False
                changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                entry.waiters = [*(entry.waiters or ()), changed]
                await changed
            return True
        finally:
            timer.cancel()

    def _passes(self, entry: Entry, test: Test) -> bool:
        if self._open.get(entry.photo_id) is not entry and entry.lease.state not in ENDED:
            raise Moved
        return test(entry.lease)

    def close(self, entry: Entry, lease: Lease) -> None:
        """The lease has its receipt. Holders that had not released stay in ``unconfirmed`` until they do or die."""
        late = entry.lease.holders
        self.move(entry.photo_id, lambda _: lease, parked=0)
        self._remove(entry)
        self._ended.add(entry.photo_id, entry.expire)
        self.unconfirmed.add(entry.photo_id, late, entry.expire)

    def let_go(self, entry: Entry) -> None:
        """The lease is another replica's now: it owes no receipt here."""
        self.move(entry.photo_id, lambda _: _FRESH, parked=0)
        self._remove(entry)

    def confirm(self, photo_id: str, holder: str) -> None:
        """A holder says, late, that it has nothing of an ended lease."""
        self.unconfirmed.confirm(photo_id, holder)

    def late(self, photo_id: str, holder: str) -> None:
        """A holder says that it has a photo whose lease has ended."""
        self.unconfirmed.add(
            photo_id, [holder], self._clock.wall() if (expire := self.expiry(photo_id)) is None else expire
        )

    def bury(self, instance: str, epoch: str) -> list[tuple[str, str]]:
        """All that other epochs of ``service/instance`` held is LOST; returns these photos and holders."""
        dead: list[tuple[str, str]] = []
        prefix, alive = f"{instance}/", f"{instance}/{epoch}"
        for holder in [h for h in self._by_holder if h.startswith(prefix) and h != alive]:
            for entry in self.held_by(holder):
                self.change(entry, entry.lease.lose(holder))
                dead.append((entry.photo_id, holder))
        self.unconfirmed.bury(instance, alive)
        return dead

    def held_by(self, holder: str) -> list[Entry]:
        """The open leases whose photos a process holds."""
        return list(self._by_holder.get(holder, {}).values())

    def ended(self) -> list[str]:
        """Leases that have ended here and would not have expired yet, or not long ago."""
        return self._ended.photo_ids()

    def expiry(self, photo_id: str) -> float | None:
        """When an ended lease would have expired, Unix seconds; None once it is forgotten."""
        return self._ended.get(photo_id)

    def forget(self) -> None:
        """Drops what is remembered of ended leases, some time after their expiry."""
        self._ended.forget()

    def _remove(self, entry: Entry) -> None:
        if self._open.pop(entry.photo_id, None) is not None:
            self.states[entry.lease.state] -= 1
        entry.wake()

    def _count(self, entry: Entry, before: Lease, after: Lease, *, heard: bool) -> None:
        """What has changed in who holds the photo."""
        had, has = before.holders, after.holders
        for holder in had - has:
            self.held[service_of(holder)] -= 1
            mine = self._by_holder[holder]
            del mine[entry.photo_id]
            if not mine:
                del self._by_holder[holder]
        for holder in has - had:
            self.held[service_of(holder)] += 1
            self._by_holder.setdefault(holder, {})[entry.photo_id] = entry
        if heard and has - had:
            entry.since = {**entry.since, **dict.fromkeys(has - had, self._clock.monotonic())}
        for holder, custody in after.custody.items():
            known = before.custody.get(holder)
            if custody.holding is Holding.LOST and (known is None or known.holding is not Holding.LOST):
                self.lost[service_of(holder)] += 1


def service_of(holder: str) -> str:
    """The service in "service/instance/epoch"."""
    return holder.partition("/")[0]


def merged(ours: Lease, registrys: Lease) -> Lease:
    """Our view, with what only the registry knows: holders and expectations from before a restart."""
    lease = registrys if ours.state is State.GRANTED and not ours.custody else ours
    custody = {**registrys.custody, **ours.custody}
    return Lease(lease.state, custody, ours.expected | registrys.expected, ours.end or registrys.end)
