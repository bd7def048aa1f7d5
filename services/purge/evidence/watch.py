"""Looks once a second at what the rules' states are, and remembers since when."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, replace

from mesh.clock import Clock
from mesh.log import error_at, get_logger
from mesh.rules import RULES
from mesh.tasks import Tasks
from services.purge.evidence.judging import Since, Verdict, judge
from services.purge.evidence.own import Finding, Own
from services.purge.evidence.prometheus import STALE, Answer, Prometheus

EVERY = 1.0  # seconds between looks
ASK_EVERY = 5.0  # seconds between questions to Prometheus
_log = get_logger()


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at ``at``, Unix seconds. asked: whether there is a Prometheus. answered: and whether it answers."""

    at: float
    verdicts: tuple[Verdict, ...]
    asked: bool
    answered: bool


class Watch:
    """A component. ``look`` is the newest; ``wait`` blocks a thread until there is another."""

    def __init__(self, own: Own, clock: Clock, prometheus: Prometheus | None = None) -> None:
        self._own = own
        self._clock = clock
        self._prometheus = prometheus
        self._tasks = Tasks()
        self._since: dict[str, tuple[Finding, Since]] = {}
        self._answer: tuple[float, Answer] | None = None  # monotonic, when it came
        self._away = False
        self._heard = 0.0  # when an answer first came, Unix seconds
        self._news = threading.Condition()
        self._looks = 0
        self.closed = False
        self.look = Look(clock.wall(), (), prometheus is not None, answered=False)

    async def start(self) -> None:
        self._see()
        self._tasks.spawn(self._keep_looking())
        if self._prometheus is not None:
            self._tasks.spawn(self._keep_asking(self._prometheus))

    async def stop(self) -> None:
        self.closed = True
        with self._news:
            self._news.notify_all()
        await self._tasks.cancel()

    def seconds(self) -> float:
        """The monotonic clock that looks are timed by."""
        return self._clock.monotonic()

    def wait(self, seen: int, seconds: float) -> int:
        """Until there is a newer look than number ``seen``, or ``seconds`` are over; the newest one's number."""
        with self._news:
            self._news.wait_for(lambda: self.closed or self._looks > seen, seconds)
            return self._looks

    def _see(self) -> None:
        now, findings = self._clock.wall(), self._own.look()
        answer = self._fresh()
        verdicts = tuple(
            judge(rule, findings[rule.id], self._begun(rule.id, findings[rule.id]), answer) for rule in RULES
        )
        self.look = Look(now, verdicts, self._prometheus is not None, answer is not None)
        with self._news:
            self._looks += 1
            self._news.notify_all()

    def _begun(self, rule: str, finding: Finding) -> Since:
        """Since when purge finds what it finds; nobody knows what was before its start."""
        before = self._since.get(rule)
        if before is None:
            since = Since(self._clock.wall(), exact=False)
        elif before[0].state is not finding.state:
            since = Since(self._clock.wall(), exact=True)
        else:
            since = before[1]
        self._since[rule] = finding, since
        return since

    def _heard_since(self, answer: Answer) -> Answer:
        """Prometheus says by the minute since when it has watched; it has at least since it was first heard here."""
        self._heard = self._heard or self._clock.wall()
        return replace(answer, watched=min(self._heard, answer.watched or self._heard))

    def _fresh(self) -> Answer | None:
        if self._answer is None or self._clock.monotonic() - self._answer[0] > STALE:
            return None
        return self._answer[1]

    async def _keep_looking(self) -> None:
        while True:
            await self._clock.sleep(EVERY)
            try:
                self._see()
            except Exception as error:
                # The page then shows how old it is, and the next look may succeed.
                _log.error("evidence_failed", error_type=type(error).__name__, error_at=error_at(error))

    async def _keep_asking(self, prometheus: Prometheus) -> None:
        while True:
            try:
                self._answer = self._clock.monotonic(), self._heard_since(await asyncio.to_thread(prometheus.ask))
                self._away = False
            except Exception as error:
                # Away, or an answer that nobody thought of: either way nothing is known of it, and it is asked again.
                if not self._away:
                    _log.warning("prometheus_away", error_type=type(error).__name__, error_at=error_at(error))
                self._away = True
            await self._clock.sleep(ASK_EVERY)
