"""The custody stream, purge's side: one session per holder; reports up, acknowledgements and revocations down.

A report counts for purge's view at once, and is acknowledged once the registry has it (``writer.py``): nobody waits for
that, so it takes its time, and says all that was written meanwhile in one message. What was not acknowledged when a
stream broke comes again on the next, and changes nothing twice. A broken stream alone says nothing about a holder: its
custody stands until it reports, until a new epoch in its place proves it dead, or until the lease's end.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from mesh.clock import Clock
from mesh.errors import Invalid
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge.book import Book, Entry, service_of
from services.purge.hello import Hello
from services.purge.lease import Lease, State
from services.purge.registry import Registry, Report
from services.purge.statement import Profile
from services.purge.writer import Writer

MAX_EVENTS = 64  # events a batch
ACKNOWLEDGE_WITHIN = 0.1  # seconds after the registry has a report: each message costs as much as ten reports
MAX_PENDING = 256  # batches of one session that wait for the registry; then its stream isn't read
_KEPT_PROFILES = 4096  # of processes that are gone; a receipt may still need them
_KEPT_RELEASES = 8192  # of one process; what an older one was is in the registry by now
_log = get_logger()


@dataclass(frozen=True, slots=True)
class Event:
    """One report. change: H held, R released, C revocation confirmed. micros: microseconds, with R.

    home: the replica that keeps the lease, as far as the holder knows; empty if it doesn't."""

    photo_id: str
    change: str
    micros: int = 0
    home: str = ""


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Every batch up to ``sequence`` is safe with purge. registry: this replica's name, in the answer to a hello."""

    sequence: int
    registry: str = ""


@dataclass(frozen=True, slots=True)
class Revoke:
    """Drop this photo, and take nothing of it until ``expire`` (Unix seconds)."""

    photo_id: str
    expire: float


Command = Acknowledge | Revoke


@dataclass(slots=True)
class Known:
    """What one process has told of all photos, also of those that other replicas keep: should they be adopted here.

    held: now. released: microseconds, of photos that this replica doesn't keep; the oldest are forgotten.
    """

    held: set[str] = field(default_factory=set)
    released: dict[str, int] = field(default_factory=dict)

    def note(self, event: Event, *, strange: bool) -> None:
        """strange: this replica doesn't keep the photo."""
        if event.change == "H":
            self.held.add(event.photo_id)
            return
        held = event.photo_id in self.held
        self.held.discard(event.photo_id)
        if strange and event.change == "R" and held:
            self.released[event.photo_id] = self.released.pop(event.photo_id, 0) + event.micros
            if len(self.released) > _KEPT_RELEASES:
                del self.released[next(iter(self.released))]


@dataclass(slots=True)
class Batch:
    """One batch that isn't acknowledged. unwritten: how many of its reports the registry hasn't got."""

    sequence: int
    unwritten: int


class Session:
    """One stream of one holder. ``batches`` are those that wait for the registry, oldest first.

    ``safe``: the sequence up to which everything is written."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.holder = hello.holder
        self.batches: deque[Batch] = deque()
        self.room = asyncio.Semaphore(MAX_PENDING)
        self.safe = 0
        self._told = 0
        self._commands: asyncio.Queue[Command | None] = asyncio.Queue()

    def send(self, command: Command) -> None:
        self._commands.put_nowait(command)

    def make_room(self) -> None:
        """Takes off the batches that are written."""
        while self.batches and not self.batches[0].unwritten:
            self.safe = max(self.safe, self.batches.popleft().sequence)
            self.room.release()

    def acknowledge(self) -> None:
        """Says what is safe, if that is news."""
        if self.safe > self._told:
            self._told = self.safe
            self.send(Acknowledge(self.safe))

    def close(self) -> None:
        """Ends ``commands``."""
        self._commands.put_nowait(None)

    async def commands(self) -> AsyncIterator[Command]:
        """What goes down the stream, until the session is closed."""
        while (command := await self._commands.get()) is not None:
            yield command


class Custody:
    """All sessions. ceiling: seconds of the longest lease. lost, moved: called with a photo that the registry has lost,
    or that is another replica's."""

    def __init__(
        self,
        *,
        registry: Registry,
        book: Book,
        clock: Clock,
        ceiling: float,
        lost: Callable[[str], None],
        moved: Callable[[str], None],
    ) -> None:
        self._home = registry.home
        self._book = book
        self._clock = clock
        self._ceiling = ceiling
        self._lost = lost
        self._moved = moved
        self.writer = Writer(registry, clock)
        self._tasks = Tasks()
        self._due: set[Session] = set()
        self._sessions: dict[str, Session] = {}
        self._epochs: dict[str, str] = {}
        self._dead: dict[str, None] = {}
        self._profiles: dict[str, Profile] = {}
        self._acknowledged: dict[str, int] = {}
        self._known: dict[str, Known] = {}

    async def attend(self, hello: Hello) -> Session:
        """A holder's stream begins. Invalid for an epoch that another has followed: its process is dead."""
        if hello.holder in self._dead:
            raise Invalid("EPOCH_ENDED", "Another process has taken this one's place; start again with a new epoch.")
        self._take_place(hello)
        session = Session(hello)
        if (old := self._sessions.get(hello.holder)) is not None:
            self.leave(old)
        self._sessions[hello.holder] = session
        # The answer to the hello, so that the holder knows that it is heard: what has not to be sent again.
        session.send(Acknowledge(self._acknowledged.get(hello.holder, 0), self._home))
        self._known.setdefault(hello.holder, Known()).held = set(hello.held)
        held = [report for photo_id in hello.held if (report := self._take_up(session, photo_id)) is not None]
        await self._await_written(session, 0, held)
        for entry in self._book.held_by(hello.holder):
            if hello.holder in entry.lease.demands:
                session.send(Revoke(entry.photo_id, entry.expire))
        return session

    def leave(self, session: Session) -> None:
        """A stream has ended. Custody stands."""
        session.close()
        if self._sessions.get(session.holder) is session:
            del self._sessions[session.holder]

    async def report(self, session: Session, sequence: int, events: Sequence[Event]) -> None:
        """One batch. Returns when there is room for the next; the acknowledgement comes as a command."""
        if len(events) > MAX_EVENTS or sequence < 1:
            raise Invalid("CUSTODY_BATCH", "A batch has a positive sequence and at most 64 events.", field="batch")
        reports: list[Report] = []
        if sequence > self._acknowledged.get(session.holder, 0):
            applied = [self._apply(session, sequence * MAX_EVENTS + at, event) for at, event in enumerate(events)]
            reports = [report for report in applied if report is not None]
        await self._await_written(session, sequence, reports)

    def revoke(self, photo_id: str, expire: float) -> None:
        """Tells every process that is connected to drop the photo and take nothing of it.

        Also those that don't hold it: frames may be on their way to one that has not reported yet.
        """
        for session in self._sessions.values():
            session.send(Revoke(photo_id, expire))

    def told_of(self, photo_id: str, lease: Lease) -> tuple[Lease, list[Report]]:
        """A lease that comes from another replica, with what its holders have told this one; and what of that is news.

        A holder that has not told this one anything of it stays as it was: it may be about to.
        """
        news: list[Report] = []
        for holder in lease.holders & self._dead.keys():
            lease = lease.lose(holder)
            news.append(Report(photo_id, holder, "L", 0))
        for holder, known in self._known.items():
            # Behind what an adoption leaves (0), before anything that a stream brings (from 64 on).
            holds, micros = photo_id in known.held, known.released.get(photo_id)
            released = micros is not None and not holds
            if (holds and holder not in lease.holders) or (released and holder not in lease.custody):
                lease = lease.hold(holder, 1)
                news.append(Report(photo_id, holder, "H", 1))
            if released and holder in lease.holders:
                lease = lease.release(holder, 2, micros or 0)
                news.append(Report(photo_id, holder, "R", 2, micros or 0))
        return lease, news

    def profile(self, holder: str) -> Profile | None:
        """What a holder said of itself, also after it is gone."""
        return self._profiles.get(holder)

    def connected(self) -> dict[str, float]:
        """How many processes of each service are attending."""
        return {s: float(n) for s, n in Counter(map(service_of, self._sessions)).items()}

    def attending(self) -> list[tuple[str, Profile]]:
        """The service of each process that is attending, and what it said of itself."""
        known = [(service_of(holder), self._profiles.get(holder)) for holder in list(self._sessions)]
        return [(service, profile) for service, profile in known if profile is not None]

    async def start(self) -> None:
        """Nothing to start: sessions come from servicers."""

    async def stop(self) -> None:
        """Ends all streams."""
        await self._tasks.cancel()
        self._acknowledge_all()
        for session in list(self._sessions.values()):
            self.leave(session)
        await self.writer.stop()

    def _take_place(self, hello: Hello) -> None:
        """Whatever process was here before is dead: the kernel has taken its memory back."""
        before = self._epochs.get(hello.place)
        if before is not None and before != hello.epoch:
            self._dead[f"{hello.place}/{before}"] = None
            self._known.pop(f"{hello.place}/{before}", None)
        self._epochs[hello.place] = hello.epoch
        self._profiles.pop(hello.holder, None)
        self._profiles[hello.holder] = Profile(hello.controls, hello.processors)
        for table in (self._dead, self._profiles):
            while len(table) > _KEPT_PROFILES:
                del table[next(iter(table))]
        dead = self._book.bury(hello.place, hello.epoch)
        if dead:
            _log.warning("holder_lost", service=hello.service, holder=hello.place, count=len(dead))
        for photo_id, holder in dead:
            self.writer.add(Report(photo_id, holder, "L", 0), _nobody)

    def _take_up(self, session: Session, photo_id: str) -> Report | None:
        """A photo that a holder says it holds, at the start of a stream; a report if that is news."""
        entry = self._book.get(photo_id)
        if entry is None:
            if (expire := self._book.expiry(photo_id)) is not None:
                self._book.late(photo_id, session.holder)
                session.send(Revoke(photo_id, expire))
                return None
            # Another replica's, or of a lease that nobody knows: the registry's answer to the report says which.
            return Report(photo_id, session.holder, "H", 0)
        if session.holder in entry.lease.custody:
            return None
        # Its first report may be under way again on this stream, and will then only raise the ordinal.
        self._book.change(entry, entry.lease.hold(session.holder, 0))
        return Report(photo_id, session.holder, "H", 0)

    def _apply(self, session: Session, ordinal: int, event: Event) -> Report | None:
        """Purge's own view, at once; and the report for the registry, if there is something to report."""
        entry, holder = self._book.get(event.photo_id), session.holder
        if (known := self._known.get(holder)) is not None:
            known.note(event, strange=entry is None)
        if event.change == "C":
            return self._confirmed(entry, event.photo_id, holder, ordinal)
        if event.change == "H":
            self._held(session, entry, event.photo_id, ordinal)
            if entry is None and event.home not in ("", self._home):
                return None  # the registry would say MOVED; should the lease come here, it is in ``known``
        elif entry is not None:
            self._book.change(entry, entry.lease.release(holder, ordinal, event.micros))
        else:
            self._book.confirm(event.photo_id, holder)
            return None
        return Report(event.photo_id, holder, event.change, ordinal, event.micros)

    def _held(self, session: Session, entry: Entry | None, photo_id: str, ordinal: int) -> None:
        if entry is not None:
            self._book.change(entry, entry.lease.hold(session.holder, ordinal))
            if session.holder in entry.lease.demands:
                session.send(Revoke(photo_id, entry.expire))
        elif (expire := self._book.expiry(photo_id)) is not None:
            self._book.late(photo_id, session.holder)
            session.send(Revoke(photo_id, expire))

    def _confirmed(self, entry: Entry | None, photo_id: str, holder: str, ordinal: int) -> Report | None:
        """Everybody is told of a revocation, and confirms it; only a holder's confirmation says something new."""
        self._book.confirm(photo_id, holder)
        if entry is None or holder not in entry.lease.holders:
            return None
        # It reported no release of its own: purge's own measure is an upper bound.
        granted = entry.grant.granted if entry.grant else self._clock.wall()
        since = entry.since.get(holder)
        seconds = self._clock.wall() - granted if since is None else self._clock.monotonic() - since
        micros = max(0, round(seconds * 1e6))
        self._book.change(entry, entry.lease.release(holder, ordinal, micros))
        return Report(photo_id, holder, "R", ordinal, micros)

    async def _await_written(self, session: Session, sequence: int, reports: list[Report]) -> None:
        """Hands a batch to the writer; its acknowledgement follows in the order of the batches."""
        batch = Batch(sequence, len(reports))
        session.batches.append(batch)
        for report in reports:
            self._hand_over(session, batch, report)
        if not reports:
            self._note(session)
        await session.room.acquire()

    def _hand_over(self, session: Session, batch: Batch, report: Report) -> None:
        stranger = self._book.get(report.photo_id) is None and self._book.expiry(report.photo_id) is None

        def told(state: str | None) -> None:
            batch.unwritten -= 1
            self._compare(session, report.photo_id, state, stranger=stranger)
            if not batch.unwritten:
                self._note(session)

        self.writer.add(report, told)

    def _note(self, session: Session) -> None:
        """Something of this session's is written, or needn't be: it will be acknowledged."""
        session.make_room()
        if session.safe > self._acknowledged.get(session.holder, 0):
            self._acknowledged[session.holder] = session.safe
        if not self._due:
            self._tasks.spawn(self._acknowledge_soon())
        self._due.add(session)

    async def _acknowledge_soon(self) -> None:
        await self._clock.sleep(ACKNOWLEDGE_WITHIN)
        self._acknowledge_all()

    def _acknowledge_all(self) -> None:
        while self._due:
            self._due.pop().acknowledge()

    def _compare(self, session: Session, photo_id: str, state: str | None, *, stranger: bool) -> None:
        """The registry and purge's view should agree on which leases there are. stranger: held, and not in our view."""
        if state == "MOVED":
            self._moved(photo_id)
        elif state == "GONE" and (entry := self._book.get(photo_id)) is not None:
            if entry.lease.state is not State.ENDING:
                self._lost(photo_id)
        elif stranger and state in ("GONE", State.ENDING):
            session.send(Revoke(photo_id, self._expiry(photo_id)))

    def _expiry(self, photo_id: str) -> float:
        known = self._book.expiry(photo_id)
        return self._clock.wall() + self._ceiling if known is None else known


def _nobody(_: str | None) -> None:
    """Nobody waits for a report of a death."""
