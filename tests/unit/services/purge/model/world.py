"""Several replicas, one registry, some holders, and everything that may happen to them, one step at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.purge.lease import Holding, Lease, Outcome
from tests.unit.services.purge.model.redis_model import Receipt, RedisModel, Report
from tests.unit.services.purge.model.replica_model import TTL, Away, Call, Replica, Rules

Message = tuple[int, Report] | None
"""A report of a photo; None is the hello."""
FATES = ("done", "lost", "unanswered", "late")
"""What may become of a call: answered; not done; done, but not answered; not answered, and done at some later time."""


@dataclass
class Holder:
    """The process in one place. Per replica: ``sent`` is its stream, heard up to ``heard``.

    released: how often each process of this place has said that it released.
    """

    place: str
    epoch: int = 0
    holds: dict[int, int] = field(default_factory=dict)
    count: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    sent: dict[str, list[Message]] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)
    released: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.place}/{self.epoch}"

    def connect(self, replica: str, one_count: bool) -> None:
        """A new stream begins with who this is and what it holds."""
        self.counts[replica] = 0
        self.sent[replica], self.heard[replica] = [None], 0
        for photo_id, ordinal in self.holds.items():
            self._send(replica, photo_id, "H", ordinal if one_count else self._next(replica))

    def report(self, change: str, photo_id: int, one_count: bool) -> None:
        """H or R, if that is news, to every replica."""
        if (change == "H") == (photo_id in self.holds):
            return
        self.count += 1
        if change == "H":
            self.holds[photo_id] = self.count
        else:
            del self.holds[photo_id]
            self.released[self.name] = self.released.get(self.name, 0) + 1
        for replica in self.sent:
            self._send(replica, photo_id, change, self.count if one_count else self._next(replica))

    def die(self, replicas: list[str]) -> None:
        """What was not heard is never heard; the process in its place says hello."""
        self.epoch += 1
        self.holds, self.count = {}, 0
        for replica in replicas:
            self.connect(replica, one_count=True)

    def has_news(self, replica: str) -> bool:
        return self.heard[replica] < len(self.sent[replica])

    def deliver(self, replica: Replica) -> None:
        if not (replica.runs and self.has_news(replica.name)):
            return
        message = self.sent[replica.name][self.heard[replica.name]]
        self.heard[replica.name] += 1
        if message is None:
            replica.hello(self.place, self.name)
        else:
            replica.heard(*message)

    def _next(self, replica: str) -> int:
        self.counts[replica] = self.counts.get(replica, 0) + 1
        return self.counts[replica]

    def _send(self, replica: str, photo_id: int, change: str, ordinal: int) -> None:
        self.sent[replica].append((photo_id, (change, self.name, ordinal)))


class World:
    """Every method is one event. ``check`` raises AssertionError when a promise is broken."""

    def __init__(self, rules: Rules | None = None, replicas: int = 2) -> None:
        self.rules = rules or Rules()
        self.redis = RedisModel(fence=self.rules.fence, tombstone=self.rules.tombstone, gone=self.rules.gone)
        self.replicas = [Replica(f"purge-{n}", self) for n in range(replicas)]
        self.holders = [Holder("ingest/i"), Holder("render/r")]
        self.now = 0
        self.late: list[Call] = []
        self.expiries: dict[int, int] = {}
        self.receipts: list[tuple[Receipt, Lease]] = []
        self.apart = False
        self._texts = 0
        self._term = 0
        for holder in self.holders:
            for replica in self.replicas:
                holder.connect(replica.name, self.rules.one_count)
                holder.deliver(replica)
        self.beat()

    # What a replica sees

    def peers(self, replica: Replica) -> list[Replica]:
        return [peer for peer in self.replicas if peer is not replica]

    def reaches(self, replica: Replica, peer: Replica) -> bool:
        return not self.apart

    @property
    def life(self) -> int:
        return self.redis.life

    def expire_of(self, photo_id: int) -> int:
        return self.expiries[photo_id]

    def next_text(self) -> int:
        self._texts += 1
        return self._texts

    def logged(self, replica: Replica, receipt: Receipt, lease: Lease) -> None:
        self.receipts.append((receipt, lease))

    # Events: the replicas

    def grant(self, n: int) -> int:
        photo_id = len(self.expiries)
        self.expiries[photo_id] = self.now + TTL
        self.replicas[n].spawn(self.replicas[n].grant(photo_id))
        return photo_id

    def step(self, n: int, at: int = 0, fate: str = "done") -> None:
        """The next call of one task of one replica, and what becomes of it."""
        replica = self.replicas[n]
        running = replica.tasks.pop(at % len(replica.tasks))
        fate = fate if replica.linked else "lost"
        if fate == "late":
            self.late.append(running.call)
        reply = running.call(self.redis) if fate in ("done", "unanswered") else None
        replica.go_on(running.task, reply if fate == "done" else Away())

    def arrive(self, at: int) -> None:
        """A call whose caller has given up is done after all."""
        self.late.pop(at % len(self.late))(self.redis)

    def settle(self, n: int, photo_id: int) -> None:
        if (entry := self.replicas[n].book.get(photo_id)) is not None:
            self.replicas[n].spawn(self.replicas[n].settle(entry))

    def end(self, n: int, photo_id: int, outcome: Outcome) -> None:
        self.replicas[n].begin(photo_id, outcome)

    def scan(self, n: int) -> None:
        self._term += 1
        self.replicas[n].spawn(self.replicas[n].scan(self._term))

    def crash(self, n: int) -> None:
        self.replicas[n].crash()

    def restart(self, n: int) -> None:
        """Its streams are new ones: holders say what they hold."""
        replica = self.replicas[n]
        replica.restart()
        for holder in self.holders:
            holder.connect(replica.name, self.rules.one_count)

    # Events: the holders

    def hold(self, h: int, photo_id: int) -> None:
        self.holders[h].report("H", photo_id, self.rules.one_count)

    def release(self, h: int, photo_id: int) -> None:
        self.holders[h].report("R", photo_id, self.rules.one_count)

    def deliver(self, h: int, n: int) -> None:
        """The next report of one stream."""
        self.holders[h].deliver(self.replicas[n])

    def reconnect(self, h: int, n: int, back: int) -> None:
        """A stream breaks; reports that were heard and not acknowledged come again."""
        heard = self.holders[h].heard
        name = self.replicas[n].name
        heard[name] = max(0, heard[name] - back)

    def die(self, h: int) -> None:
        """The process is dead, and another takes its place."""
        self.holders[h].die([r.name for r in self.replicas])

    # Events: the world

    def tick(self) -> None:
        """Time passes: TTLs run down, replicas that can say so live on, holders let go of what is over."""
        self.now += 1
        self.redis.tick()
        self.beat()
        for holder in self.holders:
            for photo_id in [p for p in holder.holds if self.now >= self.expiries[p]]:
                holder.report("R", photo_id, self.rules.one_count)
        for replica in self.replicas:
            if replica.runs:
                replica.reap()

    def beat(self) -> None:
        for replica in self.replicas:
            if replica.runs and replica.linked:
                # Out of sight until now: the book learns it before this beat makes it forget.
                replica.look_around()
                self.redis.beat(replica.name)
                replica.seen = self.now

    def lose(self, back: int | None) -> None:
        self.redis.lose(back)

    # Promises

    def check(self) -> None:
        """After every step."""
        logged = [receipt.photo_id for receipt, _ in self.receipts]
        assert len(logged) == len(set(logged)), "two receipts"
        assert not self.redis.strangers, "ended by a stranger"
        for replica in self.replicas:
            if replica.up:
                owed = {p for p in replica.owed() if p not in logged}
                assert owed <= replica.book.keys(), "a lease that nobody owes"
        for _, lease in self.receipts:
            for name, custody in lease.custody.items():
                holder = next(h for h in self.holders if name.startswith(h.place))
                assert custody.micros <= holder.released.get(name, 0), "time counted twice"
                assert custody.holding is not Holding.HELD

    def rest(self) -> None:
        """Everything heals, and comes to rest: each lease has its one receipt, and nothing of it is left."""
        self.apart = False
        for n, replica in enumerate(self.replicas):
            replica.linked, replica.paused = True, False
            if not replica.up:
                self.restart(n)
        while self.late:
            self.arrive(0)
        for _ in range(4 * TTL):
            self.tick()
            for n in range(len(self.replicas)):
                for h in range(len(self.holders)):
                    while self.holders[h].has_news(self.replicas[n].name):
                        self.deliver(h, n)
                self.scan(n)
                for _ in range(200):
                    if not self.replicas[n].tasks:
                        break
                    self.step(n)
                    self.check()
        logged = {receipt.photo_id for receipt, _ in self.receipts}
        admitted = {entry for replica in self.replicas for entry in replica.log if isinstance(entry, int)}
        assert admitted == logged, f"no receipt: {admitted - logged}"
        assert not self.redis.data.records
        assert not any(replica.book for replica in self.replicas)
