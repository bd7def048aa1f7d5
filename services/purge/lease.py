"""The state machine of one lease: pure, without a clock and without I/O.

    GRANTED → ACTIVE → PARKED ⇄ CLAIMED
       └────────┴─────────┴───────┴──→ ENDING → SETTLED | REVOKED | EXPIRED

ENDING is the visible in-between: how the lease ends is decided and final, but some custody is not released yet.
``functions.lua`` makes the same transitions atomic in the registry; a test runs both against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where a lease is."""

    GRANTED = "granted"
    ACTIVE = "active"
    PARKED = "parked"
    CLAIMED = "claimed"
    ENDING = "ending"
    SETTLED = "settled"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Outcome(StrEnum):
    """The three ways in which a lease ends; each is also the state it ends in."""

    SETTLED = "settled"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Holding(StrEnum):
    """Where one holder's custody is. The letter is how the registry writes it."""

    HELD = "H"
    RELEASED = "R"
    LOST = "L"


LIVE = frozenset({State.GRANTED, State.ACTIVE, State.PARKED, State.CLAIMED})
ENDED = frozenset({State.SETTLED, State.REVOKED, State.EXPIRED})


class WrongState(Exception):
    """The transition is not possible from the lease's state."""


@dataclass(frozen=True, slots=True)
class Custody:
    """One holder's custody.

    micros:   microseconds held, by the holder's monotonic clock, over all intervals that were released.
    ordinal:  position of the last report applied, within the holder's epoch; reports up to it are duplicates.
    """

    holding: Holding
    micros: int = 0
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """How a lease ends. ``at``: Unix seconds of the decision."""

    outcome: Outcome
    reason: str
    at: float


_NOBODY: Mapping[str, Custody] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease at one moment; each transition returns the next one, or the same one if nothing changes.

    custody:   by holder, "service/instance/epoch".
    expected:  holders that the conductor named; a settled lease waits for them even before they were heard of.
    claimant:  who has CLAIMED it; nobody else may go on with it.
    repeated:  the claimant has come again; from then on the claim is not given back.
    """

    state: State = State.GRANTED
    custody: Mapping[str, Custody] = field(default_factory=lambda: _NOBODY)
    expected: frozenset[str] = frozenset()
    end: End | None = None
    claimant: str = ""
    repeated: bool = False

    @property
    def holders(self) -> frozenset[str]:
        """Who has the photo now, as far as purge was told."""
        return frozenset(h for h, c in self.custody.items() if c.holding is Holding.HELD)

    @property
    def demands(self) -> frozenset[str]:
        """Who must be told to drop the photo: holders of a lease whose end is decided."""
        return frozenset() if self.state in LIVE else self.holders

    def unreleased(self, expected: Iterable[str] = ()) -> frozenset[str]:
        """Who has still to report: holders, and those expected that were never heard of."""
        awaited = self.expected.union(expected)
        return self.holders | {h for h in awaited if h not in self.custody}

    def hold(self, holder: str, ordinal: int) -> Lease:
        """A holder is about to read the first byte. After the end it is recorded, and ``demands`` names the holder.

        A LOST holder is dead, so a late report of it changes nothing.
        """
        known = self.custody.get(holder)
        if known is not None and (known.holding is Holding.LOST or ordinal <= known.ordinal):
            return self
        custody = Custody(Holding.HELD, known.micros if known else 0, ordinal)
        state = State.ACTIVE if self.state is State.GRANTED else self.state
        return replace(self, state=state, custody=self._with(holder, custody))

    def release(self, holder: str, ordinal: int, micros: int) -> Lease:
        """A holder references no byte any more. Without a hold before, nothing happens."""
        known = self.custody.get(holder)
        if known is None or known.holding is not Holding.HELD or ordinal <= known.ordinal:
            return self
        return replace(self, custody=self._with(holder, Custody(Holding.RELEASED, known.micros + micros, ordinal)))

    def lose(self, holder: str) -> Lease:
        """A holder's process has died, or nobody could confirm its release."""
        known = self.custody.get(holder)
        if known is None or known.holding is not Holding.HELD:
            return self
        return replace(self, custody=self._with(holder, replace(known, holding=Holding.LOST)))

    def park(self) -> Lease:
        """The finished picture waits for its owner. WrongState unless the lease is GRANTED or ACTIVE."""
        if self.state not in (State.GRANTED, State.ACTIVE):
            raise WrongState(self.state)
        return replace(self, state=State.PARKED)

    def claim(self, claimant: str) -> Lease:
        """The owner comes for it. WrongState unless PARKED: of many claims at once, one wins, and may come again."""
        if self.state is State.CLAIMED and self.claimant == claimant:
            return self if self.repeated else replace(self, repeated=True)
        if self.state is not State.PARKED:
            raise WrongState(self.state)
        return replace(self, state=State.CLAIMED, claimant=claimant)

    def return_claim(self, claimant: str) -> Lease:
        """No byte has left for the owner. WrongState unless CLAIMED by this claimant, once.

        Whoever gives a first claim back does not know what a second one has sent.
        """
        if self.state is not State.CLAIMED or self.claimant != claimant or self.repeated:
            raise WrongState(self.state)
        return replace(self, state=State.PARKED, claimant="")

    def decide(self, end: End) -> Lease:
        """The end, decided: the first decision stands, later ones change nothing."""
        if self.state not in LIVE:
            return self
        return replace(self, state=State.ENDING, end=end)

    def conclude(self) -> Lease:
        """The end, carried out. Whoever has not released by now is LOST. WrongState unless ENDING."""
        if self.state is not State.ENDING or self.end is None:
            raise WrongState(self.state)
        lease = self
        for holder in self.holders:
            lease = lease.lose(holder)
        return replace(lease, state=State(self.end.outcome.value))

    def expect(self, holders: Iterable[str]) -> Lease:
        """Names holders that must have released before the lease counts as settled."""
        expected = self.expected.union(holders)
        return self if expected == self.expected else replace(self, expected=expected)

    def _with(self, holder: str, custody: Custody) -> Mapping[str, Custody]:
        return MappingProxyType({**self.custody, holder: custody})
