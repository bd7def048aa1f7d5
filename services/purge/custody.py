"""The custody stream, purge's side: one session per holder; reports up, acknowledgements and revocations down.

A report counts for purge's view at once, and is acknowledged when the registry has it. What was not acknowledged when
a stream broke comes again on the next, and changes nothing twice. A broken stream alone says nothing about a holder:
its custody stands until it reports, until a new epoch in its place proves it dead, or until the lease's end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.errors import Invalid, Unavailable
from mesh.log import get_logger
from mesh.tasks import Tasks
from services.purge.book import Book, Entry, service_of
from services.purge.hello import Hello
from services.purge.lease import State
from services.purge.registry import Registry, Report
from services.purge.statement import Profile

MAX_EVENTS = 64  # events a batch
MAX_PENDING = 256  # batches of one session that wait for the registry; then its stream isn't read
_RETRY = 0.5  # seconds between attempts at a registry that is away
_KEPT_PROFILES = 4096  # of processes that are gone; a receipt may still need them
_log = get_logger()


@dataclass(frozen=True, slots=True)
class Event:
    """One report. change: H held, R released, C revocation confirmed. micros: microseconds, with R."""

    photo_id: str
    change: str
    micros: int = 0


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


class Session:
    """One stream of one holder."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.holder = hello.holder
        self.pending: asyncio.Queue[tuple[int, list[Report]]] = asyncio.Queue(MAX_PENDING)
        self._commands: asyncio.Queue[Command | None] = asyncio.Queue()

    def send(self, command: Command) -> None:
        self._commands.put_nowait(command)

    def close(self) -> None:
        """Ends ``commands``."""
        self._commands.put_nowait(None)

    async def commands(self) -> AsyncIterator[Command]:
        """What goes down the stream, until the session is closed."""
        while (command := await self._commands.get()) is not None:
            yield command


class Custody:
    """All sessions. ceiling: seconds of the longest lease. lost: called with a photo that the registry has lost."""

    def __init__(
        self, *, registry: Registry, book: Book, clock: Clock, ceiling: float, lost: Callable[[str], None]
    ) -> None:
        self._registry = registry
        self._book = book
        self._clock = clock
        self._ceiling = ceiling
        self._lost = lost
        self._tasks = Tasks()
        self._sessions: dict[str, Session] = {}
        self._writers: dict[Session, asyncio.Task[None]] = {}
        self._epochs: dict[str, str] = {}
        self._dead: dict[str, None] = {}
        self._profiles: dict[str, Profile] = {}
        self._acknowledged: dict[str, int] = {}

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
        session.send(Acknowledge(self._acknowledged.get(hello.holder, 0), self._registry.home))
        self._writers[session] = self._tasks.spawn(self._write(session))
        held = [report for photo_id in hello.held if (report := self._take_up(session, photo_id)) is not None]
        session.pending.put_nowait((0, held))
        for entry in self._book:
            if hello.holder in entry.lease.demands:
                session.send(Revoke(entry.photo_id, entry.expire))
        return session

    def leave(self, session: Session) -> None:
        """A stream has ended. Custody stands."""
        session.close()
        if (writer := self._writers.pop(session, None)) is not None:
            writer.cancel()
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
        await session.pending.put((sequence, reports))

    def revoke(self, photo_id: str, expire: float) -> None:
        """Tells every process that is connected to drop the photo and take nothing of it.

        Also those that don't hold it: frames may be on their way to one that has not reported yet.
        """
        for session in self._sessions.values():
            session.send(Revoke(photo_id, expire))

    def profile(self, holder: str) -> Profile | None:
        """What a holder said of itself, also after it is gone."""
        return self._profiles.get(holder)

    def connected(self) -> dict[str, float]:
        """How many processes of each service are attending."""
        services = [service_of(holder) for holder in self._sessions]
        return {service: float(services.count(service)) for service in set(services)}

    async def start(self) -> None:
        """Nothing to start: sessions come from servicers."""

    async def stop(self) -> None:
        """Ends all streams."""
        for session in list(self._sessions.values()):
            self.leave(session)
        await self._tasks.cancel()

    def _take_place(self, hello: Hello) -> None:
        """Whatever process was here before is dead: the kernel has taken its memory back."""
        before = self._epochs.get(hello.place)
        if before is not None and before != hello.epoch:
            self._dead[f"{hello.place}/{before}"] = None
        self._epochs[hello.place] = hello.epoch
        self._profiles.pop(hello.holder, None)
        self._profiles[hello.holder] = Profile(hello.controls, hello.processors)
        for table in (self._dead, self._profiles):
            while len(table) > _KEPT_PROFILES:
                del table[next(iter(table))]
        dead = self._book.bury(hello.place, hello.epoch)
        if dead:
            _log.warning("holder_lost", service=hello.service, holder=hello.place, count=len(dead))
            self._tasks.spawn(self._write_lost([Report(photo_id, holder, "L", 0) for photo_id, holder in dead]))

    def _take_up(self, session: Session, photo_id: str) -> Report | None:
        """A photo that a holder says it holds, at the start of a stream; a report if that is news."""
        entry = self._book.get(photo_id)
        if entry is None:
            session.send(Revoke(photo_id, self._expiry(photo_id)))
            return None
        if session.holder in entry.lease.custody:
            return None
        # Its first report may be under way again on this stream, and will then only raise the ordinal.
        self._book.change(entry, entry.lease.hold(session.holder, 0))
        return Report(photo_id, session.holder, "H", 0)

    def _apply(self, session: Session, ordinal: int, event: Event) -> Report | None:
        """Purge's own view, at once; and the report for the registry, if there is something to report."""
        entry, holder = self._book.get(event.photo_id), session.holder
        if event.change == "C":
            return self._confirmed(entry, event.photo_id, holder, ordinal)
        if event.change == "H":
            self._held(session, entry, event.photo_id, ordinal)
        elif entry is not None:
            self._book.change(entry, entry.lease.release(holder, ordinal, event.micros))
        else:
            self._book.confirm(event.photo_id, holder)
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

    async def _write(self, session: Session) -> None:
        """Brings a session's batches to the registry, many at once if many wait, and acknowledges them."""
        while True:
            batches = [await session.pending.get()]
            while not session.pending.empty():
                batches.append(session.pending.get_nowait())
            reports = [report for _, batch in batches for report in batch]
            states = await self._insist(reports) if reports else {}
            for report in reports:
                self._compare(session, report, states[report.photo_id])
            sequence = max(sequence for sequence, _ in batches)
            if sequence:
                self._acknowledged[session.holder] = max(sequence, self._acknowledged.get(session.holder, 0))
                session.send(Acknowledge(sequence))

    async def _insist(self, reports: list[Report]) -> dict[str, str]:
        while True:
            try:
                return await self._registry.custody(reports)
            except Unavailable:
                await self._clock.sleep(_RETRY)

    def _compare(self, session: Session, report: Report, state: str) -> None:
        """The registry and purge's view should agree on which leases there are."""
        entry = self._book.get(report.photo_id)
        if state == "GONE" and entry is not None and entry.lease.state is not State.ENDING:
            self._lost(report.photo_id)
        elif state in ("GONE", State.ENDING) and entry is None and report.change == "H":
            session.send(Revoke(report.photo_id, self._expiry(report.photo_id)))

    def _expiry(self, photo_id: str) -> float:
        known = self._book.expiry(photo_id)
        return self._clock.wall() + self._ceiling if known is None else known

    async def _write_lost(self, reports: list[Report]) -> None:
        """The registry's record of a death; without a registry purge's own view is what the receipt is made from."""
        try:
            await self._registry.custody(reports)
        except Unavailable:
            _log.warning("registry_behind", count=len(reports))
