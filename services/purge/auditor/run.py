"""One audit: canaries sent through every way of ending, and after each round of them a hunt for what is left."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from mesh import log
from mesh.clock import Clock
from mesh.errors import ConfigError, MeshError, NotFound, Unavailable
from mesh.transparency.bundle import Bundle
from mesh.transparency.errors import VerificationError
from services.purge.audit import WHOLE, Residue, Statement
from services.purge.auditor import control
from services.purge.auditor.canary import canary
from services.purge.auditor.canary.canary import Canary
from services.purge.auditor.endings import ENDINGS, LONGEST, Ending, Gone, Trip, UnexpectedEnd, wait_for
from services.purge.auditor.hunt.index import Needle, NeedleIndex, common_hashes
from services.purge.auditor.hunt.process import NotPermitted
from services.purge.auditor.hunt.tables import distinct
from services.purge.auditor.hunt.words import Words
from services.purge.auditor.peers import Gateway, User
from services.purge.auditor.places.found import Found, Hunted, Place
from services.purge.auditor.victim import Victim
from services.purge.receipt import Receipt

_RECEIPT_SECONDS = 30.0  # beyond the lease's end
_PICTURE_ATTEMPTS, _PICTURE_PAUSE = 10, 2.0  # seconds between them
_FAILURES = (MeshError, UnexpectedEnd, ConfigError, EOFError)
_log = log.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """endings: in the order in which they are gone through. canaries: how many of each. round: canaries between hunts.

    settle: seconds between the last end of a round and its hunt. parallel: canaries on their way at one time.
    not_searched: places that are declared out of reach. first: which kind and which scene come first; another number in
    each audit, so that in time each way of ending meets each of them.
    """

    endings: Sequence[Ending]
    canaries: int
    round: int
    parallel: int
    settle: float
    scenes: Sequence[str]
    policy: str
    kinds: Sequence[str]
    not_searched: Sequence[str] = ()
    first: int = 0

    def sequence(self) -> list[tuple[Ending, str, str]]:
        """Each ending with the kind of its canary and its scene; the canaries are spread evenly over the endings."""
        share, rest = divmod(self.canaries, len(self.endings))
        counts = [share + (number < rest) for number in range(len(self.endings))]
        kinds, scenes = _cycle(self.kinds, self.first), _cycle(self.scenes, self.first)
        return [
            (ending, ending.kind or next(kinds), next(scenes))
            for ending, count in zip(self.endings, counts, strict=True)
            for _ in range(count)
        ]


def _cycle(values: Sequence[str], first: int) -> Iterator[str]:
    return (values[number % len(values)] for number in itertools.count(first))


@dataclass(slots=True)
class Report:
    """What an audit came to. sent: way of ending → canaries that ended so. residue: (ending, service, where) → bytes.

    planned: the ways of ending that were to be gone through. not_searched: places that are declared out of reach.
    searched: place → bytes; memory: service → bytes.
    found: the same as residue one by one, with its details. failed: what could not be sent or searched, in plain words.
    index: of the statement in the log.
    control: share of the positive control that was found.
    """

    planned: tuple[str, ...] = ()
    not_searched: tuple[str, ...] = ()
    sent: Counter[str] = field(default_factory=Counter)
    residue: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    found: list[tuple[str, Found]] = field(default_factory=list)
    searched: Counter[str] = field(default_factory=Counter)
    memory: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    control: float = 0.0
    hunts: int = 0
    hunting: float = 0.0
    seconds: float = 0.0
    reconciled: bool | None = None
    differences: dict[str, list[str]] = field(default_factory=dict)
    index: int | None = None

    @property
    def outcome(self) -> str:
        """Of ``services.purge.audit.OUTCOMES``. Clean is what looked everywhere, found nothing, and adds up."""
        if self.residue:
            return "residue"
        return "incomplete" if self.undone else "clean"

    @property
    def undone(self) -> list[str]:
        """What keeps an audit from being clean though nothing was found: what failed, and what was never tried."""
        return [*self.failed, *self._statement(0, "incomplete", ()).shortcomings()]

    def by_service(self) -> Counter[tuple[str, str]]:
        """(service, where) → bytes."""
        sizes: Counter[tuple[str, str]] = Counter()
        for (_, service, where), size in self.residue.items():
            sizes[service, where] += size
        return sizes

    def statement(self, time: float) -> Statement:
        """A new one each time, with an id of its own."""
        residue = tuple(Residue(service, where, n) for (service, where), n in sorted(self.by_service().items()))
        return self._statement(round(time), self.outcome, residue)

    def _statement(self, time: int, outcome: str, residue: tuple[Residue, ...]) -> Statement:
        return Statement(
            time=time,
            outcome=outcome,
            canaries={ending: self.sent[ending] for ending in sorted({*self.planned, *self.sent})},
            searched=dict(sorted(self.searched.items())),
            residue=residue,
            reconciled=self.reconciled,
            memory=dict(sorted(self.memory.items())),
            not_searched=tuple(sorted(self.not_searched)),
            control=int(self.control * WHOLE),
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """A canary whose lease has ended."""

    ending: Ending
    canary: Canary
    gone: Gone


Progress = Callable[[str, int, int], None]
"""What is being done, how many canaries are done with, of how many."""


class Audit:
    """Runs once. parked: see ``endings.Trip``."""

    def __init__(
        self,
        plan: Plan,
        *,
        gateway: Gateway,
        victim: Victim,
        places: Sequence[Place],
        parked: Callable[[str], Awaitable[bytes]],
        clock: Clock,
        progress: Progress = lambda what, done, total: None,
    ) -> None:
        self._plan = plan
        self._gateway = gateway
        self._victim = victim
        self._places = places
        self._parked = parked
        self._clock = clock
        self._progress = progress
        self._slots: asyncio.Queue[int] = asyncio.Queue()
        for number in range(plan.parallel):
            self._slots.put_nowait(number)
        self._pictures: list[bytes] | None = None  # others than those that are sought
        planned = dict.fromkeys(ending.name for ending, _, _ in plan.sequence())
        self.report = Report(planned=tuple(planned), not_searched=tuple(plan.not_searched))

    async def run(self) -> Report:
        """Nothing that goes wrong on the way is raised: the report says it."""
        began = self._clock.monotonic()
        await self._check_the_hunter()
        self._progress("making pictures to compare with", 0, self._plan.canaries)
        await self._make_pictures()
        sequence = self._plan.sequence()
        for at in range(0, len(sequence), self._plan.round):
            round_ = sequence[at : at + self._plan.round]
            self._progress(f"sending: {round_[0][0].name}", at, len(sequence))
            ended = await asyncio.gather(*(self._send(*each) for each in round_))
            await self._clock.sleep(self._plan.settle)
            self._progress("hunting", at + len(round_), len(sequence))
            await self._hunt([each for each in ended if each is not None])
        self.report.seconds = self._clock.monotonic() - began
        return self.report

    async def _check_the_hunter(self) -> None:
        try:
            self.report.control = await asyncio.to_thread(control.found_share)
        except NotPermitted as error:
            self.report.failed.append(str(error))

    async def _make_pictures(self) -> None:
        """One of each scene, of which nothing is sought: what later ones share with it is no sign of them.

        Without it no picture can be sought, since each has marks and credentials that every process has as well. So a
        mesh that is not there yet is given some time; after that the audit goes on without, and is incomplete.
        """
        ending = next(ending for ending in ENDINGS if ending.name == "delivered")
        kind = self._plan.kinds[0]
        try:
            pictures = [(await self._patiently(ending, kind, scene)).gone.picture for scene in self._plan.scenes]
        except _FAILURES as error:
            self._fell_out(ending, kind, error)
            self.report.failed.append("pictures were not looked for, for want of others to compare them with")
        else:
            self._pictures = pictures

    async def _patiently(self, ending: Ending, kind: str, scene: str) -> Ended:
        for _ in range(_PICTURE_ATTEMPTS - 1):
            with suppress(Unavailable):
                return await self._go_through(ending, kind, scene)
            await self._clock.sleep(_PICTURE_PAUSE)
        return await self._go_through(ending, kind, scene)

    async def _send(self, ending: Ending, kind: str, scene: str) -> Ended | None:
        try:
            ended = await self._go_through(ending, kind, scene)
        except _FAILURES as error:
            self._fell_out(ending, kind, error)
            return None
        self.report.sent[ending.name] += 1
        return ended

    def _fell_out(self, ending: Ending, kind: str, error: Exception) -> None:
        self.report.failed.append(f"a canary ({kind}) did not end as {ending.name}: {_word(error)}")

    async def _go_through(self, ending: Ending, kind: str, scene: str) -> Ended:
        """Raises one of _FAILURES."""
        # A place is one user's, since a user may have so many photos on their way and no more.
        async with self._place() as number:
            sent = await asyncio.to_thread(canary.make, kind)
            trip = Trip(
                self._gateway.user(number),
                sent,
                scene,
                self._plan.policy,
                ending.ttl,
                self._clock,
                self._victim,
                self._parked,
            )
            gone = await ending.run(trip)
            await self._ended(trip.user, gone, ending)
            return Ended(ending, sent, gone)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[int]:
        number = await self._slots.get()
        try:
            yield number
        finally:
            self._slots.put_nowait(number)

    async def _ended(self, user: User, gone: Gone, ending: Ending) -> None:
        """Waits for the receipt. Raises UnexpectedEnd without one, or when it says something else."""

        async def receipt() -> Receipt | None:
            try:
                bundle = await user.receipt(gone.photo_id)
            except (NotFound, Unavailable):
                return None
            return Receipt.from_json(Bundle.from_json(bundle).envelope.payload)

        try:
            found: Receipt | None = await wait_for(receipt, LONGEST + _RECEIPT_SECONDS, self._clock)
        except VerificationError:
            raise UnexpectedEnd("RECEIPT_MALFORMED") from None
        if found is None:
            raise UnexpectedEnd("NO_RECEIPT")
        if found.outcome != ending.outcome:
            raise UnexpectedEnd(found.outcome)

    async def _hunt(self, ended: Sequence[Ended]) -> None:
        began = self._clock.monotonic()
        try:
            hunted = await asyncio.to_thread(hunted_for, ended, self._pictures)
        except Exception as error:
            _log.error("search_failed", error_type=type(error).__name__, error_at=log.error_at(error))
            self.report.failed.append(f"what was to be looked for could not be prepared: {type(error).__name__}")
            return
        for place in self._places:
            try:
                results = await asyncio.to_thread(place.search, hunted)
            except Exception as error:  # a place that breaks makes the audit incomplete, not silent
                _log.error("search_failed", error_type=type(error).__name__, error_at=log.error_at(error))
                self.report.failed.append(f"the search of {place.where} broke off: {type(error).__name__}")
                continue
            for searched in results:
                self.report.searched[searched.where] += searched.bytes
                self.report.memory.update(searched.memory)
                self.report.failed.extend(each for each in searched.failed if each not in self.report.failed)
                for found in searched.found:
                    self._blame(found)
        self.report.hunts += 1
        self.report.hunting += self._clock.monotonic() - began

    def _blame(self, found: Found) -> None:
        """Needles are called by way of ending and kind; what is found without one is nobody's."""
        ending, _, _ = found.what.rpartition("/")
        self.report.residue[ending or "any", found.service, found.where] += found.bytes
        self.report.found.append((ending or "any", found))


def hunted_for(ended: Sequence[Ended], pictures: Sequence[bytes] | None = ()) -> Hunted:
    """pictures: others than those that are sought; None: no pictures are sought."""
    needles = [
        Needle(f"{each.ending.name}/{needle.what}", needle.data)
        for each in ended
        for needle in _of(each, with_picture=pictures is not None)
    ]
    others = [needle.data for picture in pictures or () for needle in canary.of_picture(picture)]
    shared = [_shared(kind) for kind in sorted({each.canary.kind for each in ended})]
    known = distinct(np.concatenate([common_hashes(others), *shared]))
    return Hunted(NeedleIndex(needles, known=known), frozenset(each.gone.photo_id for each in ended))


@cache
def _shared(kind: str) -> Words:
    """What any two canaries of a kind have in common."""
    return common_hashes(canary.twins(kind))


def _of(ended: Ended, *, with_picture: bool) -> Sequence[Needle]:
    """A picture that broke off can't be decoded; its bytes are looked for all the same."""
    found = list(ended.canary.needles)
    if ended.gone.picture and with_picture:
        try:
            found += canary.of_picture(ended.gone.picture)
        except (OSError, SyntaxError, ValueError):
            found.append(Needle("picture", ended.gone.picture))
    if ended.gone.ciphertext:
        found.append(Needle("ciphertext", ended.gone.ciphertext))
    return found


def _word(error: Exception) -> str:
    """A reason; never a sentence that could quote something."""
    if isinstance(error, MeshError):
        return error.reason
    return str(error) if isinstance(error, UnexpectedEnd) else type(error).__name__
