"""The auditor: audits on a schedule, looks at the countings between them, and puts what it finds into the log."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from mesh.clock import Clock
from mesh.errors import MeshError, Unavailable
from mesh.log import get_logger
from mesh.ops_ports import OpsPorts
from mesh.transparency.keys import SigningKey
from services.purge.audit import sign_statement
from services.purge.auditor.canary import canary
from services.purge.auditor.config import AuditorSettings, pairs
from services.purge.auditor.countings import Uncounted
from services.purge.auditor.endings import ENDINGS, wait_for
from services.purge.auditor.peers import Gateway, Purge
from services.purge.auditor.places import processes
from services.purge.auditor.places.descriptors import Descriptors
from services.purge.auditor.places.files import Files
from services.purge.auditor.places.found import MACHINE, Place
from services.purge.auditor.places.logs import Logs
from services.purge.auditor.places.memory import Memory
from services.purge.auditor.places.metrics import Metrics
from services.purge.auditor.places.registry import Registry
from services.purge.auditor.reconcile import Differences, History, Reconciler
from services.purge.auditor.run import Audit, Plan, Progress, Report
from services.purge.auditor.victim import Victim

_PARKED_SECONDS = 10.0
_LOOKS, _LOOK_PAUSE = 3, 1.0  # after an audit: more than the grace that a record in Redis has
_FIRSTS = 1 << 32
_RECORD_ATTEMPTS, _RECORD_PAUSE = 5, 1.0
_log = get_logger()


class Auditor:
    """What one audit needs, and what becomes of its report. ``open`` and ``close`` belong to one event loop."""

    def __init__(self, settings: AuditorSettings, *, key: SigningKey, purge: Purge, clock: Clock) -> None:
        self._settings = settings
        self._key = key
        self._purge = purge
        self._clock = clock
        ca = settings.auditor_gateway_ca
        address, tokens, name = (
            settings.auditor_gateway_target,
            settings.auditor_token_file,
            settings.auditor_gateway_name,
        )
        self._gateway = Gateway(address, ca.read_bytes() if ca else None, tokens, name=name)
        self._victim = Victim(address, ca, name=name)
        redis = settings.redis()
        self._registry = Registry(redis) if redis is not None else None
        self._metrics = pairs(settings.auditor_metrics)
        self._ports = OpsPorts(settings.mutual_tls())
        self._reconciler = Reconciler(
            self._metrics,
            self._registry.leases if self._registry is not None else None,
            looks=_LOOKS,
            ports=self._ports,
        )

    def history(self) -> History:
        """See ``Reconciler.history``."""
        return self._reconciler.history()

    async def close(self) -> None:
        await self._gateway.close()
        await self._purge.close()

    async def audit(self, progress: Progress = lambda what, done, total: None) -> Report:
        """One audit, from canaries to the log. What could not be done is in the report."""
        settings = self._settings
        plan = Plan(
            endings=ENDINGS,
            canaries=settings.auditor_canaries,
            round=settings.auditor_round,
            parallel=settings.auditor_parallel,
            settle=settings.auditor_settle_seconds,
            scenes=settings.auditor_scenes,
            policy=settings.auditor_policy_version,
            kinds=settings.auditor_kinds or canary.kinds(),
            not_searched=settings.auditor_not_searched,
            first=secrets.randbelow(_FIRSTS),
        )
        audit = Audit(
            plan,
            gateway=self._gateway,
            victim=self._victim,
            places=await asyncio.to_thread(self._places),
            parked=self._parked,
            clock=self._clock,
            progress=progress,
        )
        report = await audit.run()
        progress("counting", plan.canaries, plan.canaries)
        await self._reconcile(report)
        progress("signing", plan.canaries, plan.canaries)
        await self._record(report)
        return report

    def _places(self) -> list[Place]:
        settings = self._settings
        marks = pairs(settings.auditor_processes)
        logs = [(service, Path(path)) for service, path in pairs(settings.auditor_logs)]
        roots = [(service, Path(path)) for service, path in pairs(settings.auditor_roots)]
        temporary = [os.environ["TMPDIR"]] if "TMPDIR" in os.environ else []
        shared = [Path(each).expanduser() for each in (*settings.auditor_shared_roots, *temporary)]

        def find() -> dict[str, list[int]]:
            return processes.find(marks)

        found: list[Place] = [
            Memory(find),
            Files(
                [*roots, *((MACHINE, folder) for folder in shared)],
                processes=find,
                own=[str(folder) for folder in shared],
                passed_over=[path for _, path in logs],
            ),
            Descriptors(find),
            Logs(logs),
            Metrics(self._metrics, self._ports),
        ]
        return [*found, self._registry] if self._registry is not None else found

    async def _parked(self, photo_id: str) -> bytes:
        """The ciphertext; empty when nobody may look, or when it doesn't come (whoever waits for the photo says so)."""
        registry = self._registry
        if registry is None:
            return b""

        async def dump() -> bytes:
            try:
                return await registry.parked(photo_id)
            except Unavailable:
                return b""

        found: bytes | None = await wait_for(dump, _PARKED_SECONDS, self._clock)
        return found or b""

    async def _reconcile(self, report: Report) -> None:
        differences, history = Differences(), self._reconciler.history()
        try:
            while history.is_undecided and not differences:
                differences = await asyncio.to_thread(history.look)
                await self._clock.sleep(_LOOK_PAUSE)
        except Uncounted as error:
            report.failed.append(str(error))
            return
        report.reconciled = not differences
        report.differences = {name: sorted(what) for name, what in differences.items()}

    async def _record(self, report: Report) -> None:
        def signed() -> bytes:
            # Each attempt another statement, by its id: one that was logged without an answer is no repetition.
            return sign_statement(report.statement(self._clock.wall()), self._key).to_json()

        for attempt in range(1, _RECORD_ATTEMPTS + 1):
            try:
                report.index = await self._purge.record(signed)
                return
            except MeshError as error:
                if not isinstance(error, Unavailable) or attempt == _RECORD_ATTEMPTS:
                    report.failed.append(f"the statement is not in the log: {error.reason}")
                    return
            await self._clock.sleep(_RECORD_PAUSE)


class Schedule:
    """A component: an audit every interval, a look at the countings more often; told: what hears of them."""

    def __init__(
        self,
        auditor: Auditor,
        *,
        interval: float,
        look_interval: float,
        clock: Clock,
        ran: Callable[[Report, float], None],
        looked: Callable[[Differences], None],
    ) -> None:
        self._auditor = auditor
        self._history = auditor.history()
        self._interval = interval
        self._look_interval = look_interval
        self._clock = clock
        self._ran = ran
        self._looked = looked
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._every(self._interval, self._audit)),
            asyncio.create_task(self._every(self._look_interval, self._look)),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._auditor.close()

    async def _every(self, interval: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            due = self._clock.monotonic() + interval
            try:
                await work()
            except Exception as error:  # the next one may do better; silence is an alert of its own
                _log.error("audit_failed", error_type=type(error).__name__)
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))

    async def _audit(self) -> None:
        report = await self._auditor.audit()
        self._ran(report, self._clock.wall())
        _tell(report)

    async def _look(self) -> None:
        try:
            differences = await asyncio.to_thread(self._history.look)
        except Uncounted:
            _log.warning("countings_not_taken")
            return
        self._looked(differences)
        for name, what in differences.items():
            for each in sorted(what):
                _log.error("countings_disagree", fact=name, photo_id=each)


def _tell(report: Report) -> None:
    # By needle ("parked/ciphertext"): where to look for the cause depends on it.
    sizes: Counter[tuple[str, str, str]] = Counter()
    for _, found in report.found:
        sizes[found.service, found.where, found.what] += found.bytes
    for (service, where, what), size in sorted(sizes.items()):
        _log.error("residue_found", holder=service, fact=where, reason=what, bytes=size)
    _log.info("audit_done", outcome=report.outcome, count=sum(report.sent.values()), seconds=round(report.seconds, 1))
