"""One replica of purge as a value and a few tasks: each ``yield`` of a task is one call to the registry.

Between two yields nothing else happens in this process; anything may happen meanwhile in others, in the registry and
to this process. The log is durable; the book and all tasks die with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.purge.lease import LIVE, End, Lease, Outcome, State
from tests.unit.services.purge.model.redis_model import BEAT_TTL, GRACE, Receipt, Record, RedisModel, Report, applied

Call = Callable[[RedisModel], Any]
Task = Generator[Call, Any, None]
TTL = 4  # ticks of a lease


class Away(Exception):
    """The registry did not answer; what was asked may have been done, or be done later."""


class Unreachable(Exception):
    """A peer does not answer."""


@dataclass(frozen=True)
class Rules:
    """What keeps the receipts at one each. Each is only off to see that it is needed.

    fence, tombstone, gone:  of functions.lua: ends are the home's, no grant after an end, and an end without a
                record says so.
    key_first:  a receipt is put into the registry by a fenced transition before it is logged.
    ask:        who cannot be sure asks every peer (or reads its log, if it is dead) before it writes a receipt.
    lives:      a record from before a failover makes nobody sure.
    owe:        who has granted a lease owes its receipt until it has seen one; another home is no receipt.
    one_count:  a holder numbers its reports once, and not once for each replica.
    """

    fence: bool = True
    tombstone: bool = True
    gone: bool = True
    key_first: bool = True
    ask: bool = True
    lives: bool = True
    owe: bool = True
    one_count: bool = True


@dataclass
class Entry:
    """One lease of the book.

    term:      0 for who granted it, else the adoption's.
    sure:      nobody else can have ended it, so nobody has to be asked.
    away:      it is somebody else's now, and owed here only until that one's receipt is seen.
    asking, committed:  about to write the receipt; its end is on its way to the registry.
    answered:  the registry has confirmed the grant: no command that could write the record is under way.
    life:      the server's life that the replica knew when it granted the lease.
    """

    photo_id: int
    deadline: int
    lease: Lease
    term: int = 0
    sure: bool = False
    away: bool = False
    asking: bool = False
    committed: bool = False
    answered: bool = False
    ending: bool = False
    life: int = 0


class World(Protocol):
    """What a replica sees of the others."""

    now: int
    rules: Rules

    @property
    def life(self) -> int: ...

    def peers(self, replica: Replica) -> list[Replica]: ...

    def reaches(self, replica: Replica, peer: Replica) -> bool: ...

    def expire_of(self, photo_id: int) -> int: ...

    def next_text(self) -> int: ...

    def logged(self, replica: Replica, receipt: Receipt, lease: Lease) -> None: ...


@dataclass
class Running:
    """A task, and the call that it waits for."""

    task: Task
    call: Call


@dataclass
class Replica:
    """log: photo_ids (grants) and receipts. seen: when the registry last took its beat.

    epochs:    the process in each place; heard_of: the last ordinal heard of each holder.
    holding:   by photo, who says on its stream that it holds it, and since which ordinal.
    """

    name: str
    world: World
    log: list[int | Receipt] = field(default_factory=list)
    book: dict[int, Entry] = field(default_factory=dict)
    tasks: list[Running] = field(default_factory=list)
    epochs: dict[str, str] = field(default_factory=dict)
    heard_of: dict[str, int] = field(default_factory=dict)
    holding: dict[int, dict[str, int]] = field(default_factory=dict)
    unwritten: list[tuple[int, Report]] = field(default_factory=list)
    writing: bool = False
    up: bool = True
    paused: bool = False
    linked: bool = True
    seen: int = 0

    @property
    def runs(self) -> bool:
        return self.up and not self.paused

    def has_logged(self, photo_id: int) -> bool:
        return any(isinstance(e, Receipt) and e.photo_id == photo_id for e in self.log)

    def owed(self) -> list[int]:
        """Grants of this log without a receipt in it."""
        return [e for e in self.log if isinstance(e, int) and not self.has_logged(e)]

    def crash(self) -> None:
        self.up = self.paused = self.writing = False
        self.book, self.tasks, self.holding, self.epochs, self.heard_of, self.unwritten = {}, [], {}, {}, {}, []

    def restart(self) -> None:
        """From the log: what the registry says of each grant is asked by the tasks that end it."""
        self.up, self.seen = True, -BEAT_TTL
        for photo_id in self.owed():
            self.book[photo_id] = Entry(photo_id, self.world.expire_of(photo_id), Lease())
            self.spawn(self._recover(photo_id))

    def spawn(self, task: Task) -> None:
        """Runs a task up to its first call."""
        self.go_on(task, None)

    def go_on(self, task: Task, reply: Any) -> None:
        """Gives a task its reply (an Away is raised in it), and keeps what it calls next."""
        try:
            call = task.throw(reply) if isinstance(reply, Away) else task.send(reply)
        except (StopIteration, Away):
            return
        self.tasks.append(Running(task, call))

    def look_around(self) -> None:
        """Whoever was out of the registry's sight may have lost its leases to others."""
        if self.world.now - self.seen >= BEAT_TTL:
            for entry in self.book.values():
                entry.sure = False

    # What arrives

    def hello(self, place: str, holder: str) -> None:
        """A stream begins. Whatever other process was in this place is dead."""
        self.epochs[place] = holder
        for held in self.holding.values():
            for other in [h for h in held if h.startswith(f"{place}/") and h != holder]:
                del held[other]
        for entry in self.book.values():
            self._bury(entry)

    def heard(self, photo_id: int, report: Report) -> None:
        """One report of a holder's stream."""
        change, holder, ordinal = report
        mine = self.holding.setdefault(photo_id, {})
        self.heard_of[holder] = max(ordinal, self.heard_of.get(holder, 0))
        if change == "H":
            mine[holder] = ordinal
        else:
            mine.pop(holder, None)
        if (entry := self.book.get(photo_id)) is not None:
            entry.lease = applied(entry.lease, [report])
            self._write(photo_id, report)

    def _bury(self, entry: Entry) -> None:
        for holder in entry.lease.holders:
            current = self.epochs.get(holder.rpartition("/")[0])
            if current is not None and current != holder:
                entry.lease = entry.lease.lose(holder)
                self._write(entry.photo_id, ("L", holder, 0))

    # Tasks

    def grant(self, photo_id: int) -> Task:
        self.log.append(photo_id)
        expire = self.world.expire_of(photo_id)
        entry = self.book[photo_id] = Entry(photo_id, expire, Lease(), sure=True, life=self.world.life)
        try:
            reply = yield lambda redis: redis.grant(photo_id, self.name, expire, TTL, entry.life)
        except Away:
            entry.sure = False
            self.begin(photo_id, Outcome.REVOKED)
        else:
            entry.answered = True
            if reply != "OK":
                self.begin(photo_id, Outcome.REVOKED)

    def begin(self, photo_id: int, outcome: Outcome) -> None:
        """One task per photo ends it; whoever comes later joins."""
        entry = self.book.get(photo_id)
        if entry is not None and not entry.ending:
            entry.ending = True
            self.spawn(self._end(entry, End(outcome, "", self.world.now)))

    def reap(self) -> None:
        """Ends what is overdue, and looks again after what is away."""
        for entry in list(self.book.values()):
            if self.world.now >= entry.deadline:
                self.begin(entry.photo_id, Outcome.EXPIRED)

    def scan(self, term: int) -> Task:
        """The due sets: takes up what names this replica, and adopts what names a dead one."""
        records: dict[int, Record] = yield lambda redis: dict(redis.data.records)
        for photo_id, record in records.items():
            if record.home == self.name:
                if self.has_logged(photo_id):
                    yield lambda redis, p=photo_id: redis.finish(p, self.name, None)
                elif photo_id not in self.book:
                    yield from self._take_up(photo_id)
            elif not (yield lambda redis, home=record.home: home in redis.data.alive):
                yield from self._adopt(photo_id, record.home, term)

    def _adopt(self, photo_id: int, home: str, term: int) -> Task:
        known = self.book.get(photo_id)
        found, life = yield lambda redis: (redis.adopt(photo_id, home, self.name, term), redis.life)
        if isinstance(found, Record) and not (known and known.committed):
            self._open(photo_id, found, life)

    def _take_up(self, photo_id: int) -> Task:
        found, life = yield lambda redis: (redis.data.records.get(photo_id), redis.life)
        if found is not None and found.home == self.name and photo_id not in self.book:
            self._open(photo_id, found, life)

    def _open(self, photo_id: int, record: Record, life: int) -> None:
        """From the record; the holders are those that say so on their streams to this replica."""
        lease = record.lease
        for holder, ordinal in self.holding.get(photo_id, {}).items():
            lease = lease.hold(holder, ordinal)
        for holder in lease.holders - self.holding.get(photo_id, {}).keys():
            lease = lease.release(holder, self.heard_of.get(holder, 0), 0)
        entry = self.book.get(photo_id)
        if entry is None:
            entry = self.book[photo_id] = Entry(photo_id, record.expire, lease)
        entry.lease, entry.term, entry.away, entry.answered = lease, record.term, False, True
        entry.life = record.life
        entry.sure = self._same_life(entry, life)
        self._bury(entry)
        if lease.state is State.ENDING and lease.end is not None:
            self.begin(photo_id, lease.end.outcome)

    def _recover(self, photo_id: int) -> Task:
        try:
            found, life = yield lambda redis: (redis.data.records.get(photo_id), redis.life)
        except Away:
            return
        if photo_id not in self.book:
            return
        if found is None:
            self.begin(photo_id, Outcome.REVOKED)
        elif found.home == self.name:
            self._open(photo_id, found, life)
        elif self.world.rules.owe:
            self.book[photo_id].away = True
        else:
            del self.book[photo_id]

    def _write(self, photo_id: int, report: Report) -> None:
        self.unwritten.append((photo_id, report))
        if not self.writing:
            self.writing = True
            self.spawn(self._write_on())

    def _write_on(self) -> Task:
        """In their order, each until the registry has taken it."""
        while self.unwritten:
            photo_id, report = self.unwritten[0]
            try:
                yield lambda redis, p=photo_id, r=report: redis.custody(p, self.name, [r])
            except Away:
                continue
            self.unwritten.pop(0)
        self.writing = False

    def _end(self, entry: Entry, wanted: End) -> Task:
        try:
            yield from self._carry_out(entry, wanted)
        except Away:
            pass  # the reaper comes back to it
        finally:
            entry.ending = entry.asking = entry.committed = False

    def _carry_out(self, entry: Entry, wanted: End) -> Task:
        photo_id = entry.photo_id
        if entry.away and not self._may_go_on(entry):
            return
        try:
            found = yield lambda redis: redis.decide(photo_id, self.name, wanted)
        except Away:
            # No record outlives its TTL, so nobody can adopt any more; unless its grant is still under way.
            if entry.answered and self.world.now > entry.deadline + GRACE:
                if self._may_go_on(entry):
                    self._close(entry, entry.lease.decide(wanted).conclude(), self._receipt(entry, wanted))
                return
            raise
        if found == "MOVED":
            self._moved(entry)
            return
        if isinstance(found, Record):
            entry.lease = _merged(entry.lease, found.lease)
            wanted = found.lease.end or wanted
        else:
            entry.sure = entry.sure and found != "GONE"
        entry.lease = entry.lease.decide(wanted)
        while entry.lease.holders and self.world.now <= entry.deadline:
            yield lambda _: None
        self.look_around()
        if not entry.sure:
            entry.asking = True
            yield lambda _: None  # peers learn that it asks before it hears their answers
            if not self._may_go_on(entry):
                return
        entry.committed = True
        # A hold that comes from here on is not in the receipt: it is late, and its holder is told to let go.
        signed, receipt = entry.lease.decide(wanted).conclude(), self._receipt(entry, wanted)
        if self.world.rules.key_first:
            reply, life = yield lambda redis: (redis.finish(photo_id, self.name, receipt), redis.life)
            if reply == "MOVED":
                self._moved(entry)
                return
            self.look_around()
            entry.sure = entry.sure and reply == "OK" and self._same_life(entry, life)
            if not entry.sure and not self._may_go_on(entry):
                return
        self._close(entry, signed, receipt)
        yield lambda redis: redis.finish(photo_id, self.name, receipt)

    def settle(self, entry: Entry) -> Task:
        """The end in one round trip."""
        photo_id, end = entry.photo_id, End(Outcome.SETTLED, "", self.world.now)
        if entry.ending or entry.away or entry.lease.holders or entry.lease.state not in LIVE or not entry.sure:
            return
        entry.ending = entry.committed = True
        signed, receipt = entry.lease.decide(end).conclude(), self._receipt(entry, end)
        try:
            call: Call = lambda redis: (redis.end_if_released(photo_id, self.name, receipt, []), redis.life)  # noqa: E731
            reply, life = yield call
            self.look_around()
            entry.sure = entry.sure and self._same_life(entry, life)
            if reply == "MOVED":
                self._moved(entry)
            elif reply == "OK" and (entry.sure or self._may_go_on(entry)):
                self._close(entry, signed, receipt)
        except Away:
            entry.sure = False
        finally:
            entry.ending = entry.committed = False

    # Decisions

    def _same_life(self, entry: Entry, life: int) -> bool:
        """Whether the server that answers has forgotten nothing since the grant."""
        return entry.life == life or not self.world.rules.lives

    def _moved(self, entry: Entry) -> None:
        """It is another's by the registry; whether it stays owed here is a rule."""
        entry.sure = False
        if self.world.rules.owe:
            entry.away = True
        else:
            self.book.pop(entry.photo_id, None)

    def _may_go_on(self, entry: Entry) -> bool:
        """Asks every peer; marks, when all agree, that the receipt is about to be written."""
        if not self.world.rules.ask:
            return True
        for peer in self.world.peers(self):
            if peer.up and not (peer.runs and self.world.reaches(self, peer)):
                return False
            if peer.has_logged(entry.photo_id):
                self.book.pop(entry.photo_id, None)
                return False
            theirs = peer.book.get(entry.photo_id)
            if theirs is None or theirs.away:
                continue
            if theirs.committed or (theirs.term, peer.name) > (entry.term, self.name):
                entry.away = True
                return False
            theirs.sure = False
        entry.away, entry.committed = False, True
        return True

    def _receipt(self, entry: Entry, end: End) -> Receipt:
        return Receipt(entry.photo_id, self.name, end.outcome.value, self.world.next_text())

    def _close(self, entry: Entry, lease: Lease, receipt: Receipt) -> None:
        self.log.append(receipt)
        self.book.pop(entry.photo_id, None)
        self.world.logged(self, receipt, lease)


def _merged(ours: Lease, registrys: Lease) -> Lease:
    custody = {**registrys.custody, **ours.custody}
    return Lease(registrys.state, custody, ours.expected | registrys.expected, ours.end or registrys.end)
