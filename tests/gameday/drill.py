"""A drill: an alert, how it is brought about, and what its runbook says to do, step by step in the runbook's words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from tests.deploy.programs import ROOT
from tests.gameday.hands import Hands


@dataclass(frozen=True, slots=True)
class Step:
    """words: as they stand in the runbook. do: does it; what it returns is for the report. Raises AssertionError."""

    words: str
    do: Callable[[Hands], Awaitable[str]]

    async def take(self, alert: str, hands: Hands) -> str:
        page = (ROOT / f"docs/runbooks/{alert}.md").read_text("utf-8")
        assert self.words in page, f"{alert}'s runbook doesn't say: {self.words}"
        return f"“{self.words}”  {await self.do(hands)}"


@dataclass(frozen=True, slots=True)
class Drill:
    """story: what has happened. cause: before its yield."""

    alert: str
    story: str
    cause: Callable[[Hands], AbstractAsyncContextManager[None]]
    confirm: Sequence[Step]
    remedy: Step
    close: Sequence[Step]
