"""The registry as a value: the transitions of functions.lua over a dict, with the rules that several replicas need.

Time is in ticks. What a failover loses is a step back to an older copy; what a flush loses is everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from services.purge.lease import LIVE, End, Lease

Report = tuple[str, str, int]
"""H, R or L; the holder; its ordinal."""
GRACE = 2  # ticks that a record outlives its lease
BEAT_TTL = 3  # ticks


@dataclass(frozen=True)
class Record:
    """life: the server's life (its run_id and marker) as its home knew it when it granted. until: its TTL's end."""

    lease: Lease
    home: str
    expire: int
    until: int
    life: int
    term: int = 0


@dataclass(frozen=True)
class Receipt:
    """One lease's end, signed by a replica. text: what makes two envelopes of one lease different."""

    photo_id: int
    by: str
    outcome: str
    text: int


@dataclass(frozen=True)
class Data:
    """What the server's memory holds at one moment."""

    records: dict[int, Record] = field(default_factory=dict)
    receipts: dict[int, Receipt] = field(default_factory=dict)
    alive: dict[str, int] = field(default_factory=dict)


def applied(lease: Lease, reports: Sequence[Report]) -> Lease:
    """The reports' effect, in their order."""
    for change, holder, ordinal in reports:
        if change == "H":
            lease = lease.hold(holder, ordinal)
        else:
            lease = lease.lose(holder) if change == "L" else lease.release(holder, ordinal, 1)
    return lease


class RedisModel:
    """fence: ends are the home's. tombstone: no grant after an end. gone: an end without a record says so.

    Each is only off to see that it is needed.
    """

    def __init__(self, *, fence: bool = True, tombstone: bool = True, gone: bool = True) -> None:
        self.data = Data()
        self.copies = [Data()]
        self.now = 0
        self.life = 1
        self.strangers = 0
        """Leases that were ended by another than their home."""
        self._fence, self._tombstone, self._gone = fence, tombstone, gone

    def tick(self) -> None:
        """Time passes, and TTLs with it."""
        self.now += 1
        data = self.data
        records = {i: r for i, r in data.records.items() if r.until > self.now}
        alive = {name: until for name, until in data.alive.items() if until > self.now}
        self.data = self.copies[-1] = Data(records, data.receipts, alive)

    def lose(self, back: int | None) -> None:
        """A failover to a copy that is ``back`` writes old, or (None) to an empty server."""
        self.data = Data() if back is None else self.copies[-1 - min(back, len(self.copies) - 1)]
        self.copies = [self.data]
        self.life += 1

    def grant(self, photo_id: int, home: str, expire: int, ttl: int, life: int) -> str:
        if photo_id in self.data.records or (self._tombstone and photo_id in self.data.receipts):
            return "EXISTS"
        return self._write(photo_id, Record(Lease(), home, expire, self.now + ttl + GRACE, life))

    def custody(self, photo_id: int, home: str, reports: Sequence[Report]) -> str:
        if refusal := self._not_ours(photo_id, home):
            return refusal
        record = self.data.records[photo_id]
        self._write(photo_id, replace(record, lease=applied(record.lease, reports)))
        return self.data.records[photo_id].lease.state.value

    def move(self, photo_id: int, transition: Callable[[Lease], Lease]) -> None:
        """park, claim, return_claim. Raises WrongState, KeyError."""
        record = self.data.records[photo_id]
        self._write(photo_id, replace(record, lease=transition(record.lease)))

    def end_if_released(self, photo_id: int, home: str, receipt: Receipt, reports: Sequence[Report]) -> str:
        if refusal := self._not_ours(photo_id, home):
            return refusal
        self.custody(photo_id, home, reports)
        lease = self.data.records[photo_id].lease
        if lease.state not in LIVE:
            return "ENDED"
        return "HELD" if lease.holders else self._remove(photo_id, home, receipt)

    def decide(self, photo_id: int, home: str, end: End) -> Record | str:
        if refusal := self._not_ours(photo_id, home):
            return refusal
        record = self.data.records[photo_id]
        self._write(photo_id, replace(record, lease=record.lease.decide(end)))
        return self.data.records[photo_id]

    def finish(self, photo_id: int, home: str, receipt: Receipt | None) -> str:
        """GONE without a record: the receipt is kept all the same, and whoever asked has to make sure of the rest."""
        refusal = self._not_ours(photo_id, home)
        if refusal == "MOVED":
            return "MOVED"
        self._remove(photo_id, home, receipt)
        return (self._gone and refusal) or "OK"

    def adopt(self, photo_id: int, old: str, new: str, term: int) -> Record | str:
        if refusal := self._not_ours(photo_id, old):
            return refusal
        record = self.data.records[photo_id]
        if record.term > term:
            return "MOVED"
        self._write(photo_id, replace(record, home=new, term=term))
        return self.data.records[photo_id]

    def beat(self, name: str) -> None:
        alive = {**self.data.alive, name: self.now + BEAT_TTL}
        self.data = self.copies[-1] = Data(self.data.records, self.data.receipts, alive)

    def _not_ours(self, photo_id: int, home: str) -> str:
        record = self.data.records.get(photo_id)
        if record is None:
            return "GONE"
        return "MOVED" if self._fence and record.home != home else ""

    def _write(self, photo_id: int, record: Record) -> str:
        self._put({**self.data.records, photo_id: record}, self.data.receipts)
        return "OK"

    def _remove(self, photo_id: int, home: str, receipt: Receipt | None) -> str:
        record = self.data.records.get(photo_id)
        self.strangers += record is not None and record.home != home
        kept = self.data.receipts if receipt is None else {**self.data.receipts, photo_id: receipt}
        self._put({i: r for i, r in self.data.records.items() if i != photo_id}, kept)
        return "OK"

    def _put(self, records: dict[int, Record], receipts: dict[int, Receipt]) -> None:
        self.data = Data(records, receipts, self.data.alive)
        self.copies = [*self.copies[-7:], self.data]
