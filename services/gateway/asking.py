"""Asking purge where it has replicas: who doesn't answer is passed over, who isn't a photo's home says who is.

What a caller may rely on: every question about a photo can be asked twice. An end is decided once and its receipt
given again; so a replica that dies in the midst of an answer costs time, never a second end. A grant is different: one
that was not answered may exist. It is nobody's then: no holder takes it, and its receipt says EXPIRED.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from mesh.clock import Clock
from mesh.errors import MeshError, NotFound, Unavailable
from services.gateway.replicas import Replicas

ELSEWHERE = "LEASE_ELSEWHERE"
_REDIRECTS = 2
_TRIES = 3  # replicas
_GRANT_SECONDS = 2.0  # for one of several
_ALONE_SECONDS = 5.0  # for a grant, where there is one replica
_ANSWER_SECONDS = 7.0  # for one of several; it waits for holders itself, and for its log
_ANSWER_ALONE_SECONDS = 15.0
# Seconds in which a dead home's lease finds another: others believe in it for three after its last sign of life.
_PATIENCE = 6.0
_PAUSE = 0.25  # seconds between two rounds

Reply = TypeVar("Reply")
Attempt = Callable[[str, float], Awaitable[Reply]]
"""Asks the replica at an address, within so many seconds. Raises Unanswered, or the replica's own typed error."""


class Unanswered(Unavailable):
    """The replica did not answer, or not in time: whether it has done what it was asked to isn't known."""

    def __init__(self) -> None:
        super().__init__("REGISTRY_UNAVAILABLE", "The registry is busy or away; try again shortly.", retry_after=1.0)


class Asking:
    """One for all calls."""

    def __init__(self, replicas: Replicas, clock: Clock) -> None:
        self._replicas = replicas
        self._clock = clock

    async def for_grant(self, attempt: Attempt[Reply]) -> Reply:
        """As ``any``; a replica that grants does so quickly."""
        return await self.any(attempt, _GRANT_SECONDS if self._replicas.are_several else _ALONE_SECONDS)

    async def any(self, attempt: Attempt[Reply], seconds: float) -> Reply:
        """The first answer of the replicas that listen, each in its turn. Raises Unavailable when there is none.

        seconds: for each; three are asked at most.
        """
        refusal: Unavailable = Unanswered()
        for target in self._replicas.for_grant()[:_TRIES]:
            try:
                return await self._attempt(target, attempt, seconds)
            except Unavailable as error:
                refusal = error
        raise refusal

    async def about(self, photo_id: str, attempt: Attempt[Reply]) -> Reply:
        """The answer of the photo's home, or of the replica that takes its place."""
        until = self._clock.monotonic() + _PATIENCE
        while True:
            try:
                return await self._round(photo_id, attempt)
            except Unanswered:
                somebody_may = self._replicas.are_several and self._replicas.attended
                if not somebody_may or self._clock.monotonic() >= until:
                    raise
            await self._clock.sleep(_PAUSE)

    async def _round(self, photo_id: str, attempt: Attempt[Reply]) -> Reply:
        """Every replica at most once, and the one that others point to at once."""
        refusal: MeshError = Unanswered()
        waiting, asked, redirects = self._replicas.for_photo(photo_id), set[str](), 0
        seconds = _ANSWER_SECONDS if self._replicas.are_several else _ANSWER_ALONE_SECONDS
        while waiting:
            target = waiting.pop(0)
            if target in asked:
                continue
            asked.add(target)
            at_home = target == self._replicas.at(self._replicas.home(photo_id))
            try:
                reply = await self._attempt(target, attempt, seconds)
            except Unanswered:
                continue
            except NotFound as error:
                if at_home or not self._replicas.are_several:
                    raise
                refusal = error  # one that doesn't keep it may not know of it
                continue
            except Unavailable as error:
                if error.reason != ELSEWHERE:
                    raise
                redirects += 1
                home = self._point(photo_id, error.registry or "")
                if home is None or home in asked or redirects > _REDIRECTS:
                    raise Unanswered from None
                waiting.insert(0, home)
                continue
            self._replicas.learn_at(photo_id, target)
            return reply
        raise refusal

    def _point(self, photo_id: str, registry: str) -> str | None:
        self._replicas.learn(photo_id, registry)
        return self._replicas.at(registry)

    async def _attempt(self, target: str, attempt: Attempt[Reply], seconds: float) -> Reply:
        try:
            return await attempt(target, seconds)
        except Unanswered:
            self._replicas.failed(target)
            raise
