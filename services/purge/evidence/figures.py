"""The page's numbers, of one moment: what lives comes from purge's book, what has ended from its log's account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.purge.core import Core
from services.purge.day import RESIDENCY, Day, Longest
from services.purge.evidence.words import count, plural, seconds
from services.purge.lease import LIVE, State

HOLDERS = ("gateway", "ingest", "render")
OUTCOMES = ("settled", "revoked", "expired")


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one replica. live: open leases. parked: of them, pictures that wait. held: service → photos that it holds now.

    Over the last 24 hours: admitted, ended (outcome → leases), carried (ended in them, admitted before), residency
    (leases in each bar, RESIDENCY), unknown (of them without a residency), longest.
    """

    live: int
    parked: int
    held: Mapping[str, int]
    admitted: int
    carried: int
    ended: Mapping[str, int]
    residency: tuple[int, ...]
    unknown: int
    longest: Longest | None

    @property
    def ends(self) -> int:
        return sum(self.ended.values())

    def sentence(self) -> tuple[str, str, str]:
        """Now; what came and went; how long it stayed."""
        now = f"{plural(self.live, 'photo')} in the mesh now"
        flow = f"{count(self.admitted)} admitted in the last 24 h, {count(self.ends)} ended"
        if self.carried > 0:
            flow += f" ({count(self.carried)} of them admitted before)"
        if self.longest is None:
            return now, flow, ""
        of = f" of its {seconds(self.longest.lease)}" if self.longest.lease is not None else ""
        return now, flow, f"the longest lived {seconds(self.longest.residency)}{of}"


def read(core: Core, now: float) -> Figures:
    """May be called from any thread. now: Unix seconds."""
    states, held = core.book.states, core.book.held
    live = sum(states[state] for state in (*LIVE, State.ENDING))
    tally = core.ledger.tally
    day = (tally.day if tally is not None else Day()).totals(now)
    return Figures(
        live=live,
        parked=states[State.PARKED] + states[State.CLAIMED],
        held={service: held[service] for service in HOLDERS},
        admitted=day.admitted + live,
        carried=day.carried,
        ended={outcome: day.ended.get(outcome, 0) for outcome in OUTCOMES},
        residency=day.residency,
        unknown=day.unknown,
        longest=day.longest,
    )


def bars() -> list[str]:
    """Seconds of each bar of the residency: "≤ 5", and of the last one "> 600"."""
    return [*(f"≤ {bound}" for bound in RESIDENCY), f"> {RESIDENCY[-1]}"]
