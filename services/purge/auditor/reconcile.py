"""Do the countings agree? admitted = live + settled + revoked + expired, at each hop and over all (R6).

The parties aren't asked in one instant, so they may differ for a moment; what differs in several looks is wrong. A
photo_id is the same one in each of them. A number is not: while photos move, each look may find others on their way,
and be off by as many for another reason.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mesh.errors import Unavailable
from mesh.ops_ports import OpsPorts
from services.purge.auditor.countings import HOPS, Said, Signed, Uncounted, said

Differences = dict[str, frozenset[str]]
"""Which two disagree → the photo_ids in question, or by how much where a number is all there is."""
_NAMED = ("log_without_redis", "redis_without_log", "ended_twice")
_NUMBERS = ("metrics", "metrics_against_log", *HOPS)
DIFFERENCES = (*_NAMED, *_NUMBERS)
MOVING_LOOKS = 12
"""How many looks in a row must be off in one direction while photos move. By chance one in three is, on a
busy machine: so all of them are once in half a million looks."""


@dataclass(frozen=True, slots=True)
class Look:
    """moved: how many leases were granted and ended until then; the same in two looks: nothing moved between them."""

    differences: Differences
    moved: tuple[int, int]

    def number(self, name: str) -> int:
        """By how much a number was off."""
        return int(next(iter(self.differences.get(name, ())), "0"))


class Reconciler:
    """leases: photo_ids that have a record in Redis; None: nobody may look there. looks: how many in a row must agree
    about a difference. hops: which must be asked, beside purge; without their metrics nothing is counted."""

    def __init__(
        self,
        metrics: Sequence[tuple[str, str]],
        leases: Callable[[], set[str]] | None,
        *,
        looks: int = 3,
        hops: Sequence[str] = HOPS,
        ports: OpsPorts | None = None,
    ) -> None:
        self._metrics = metrics
        self._ports = ports or OpsPorts()
        services = {service for service, _ in metrics}
        self._silent = [service for service in ("purge", *hops) if service not in services]
        self._leases = leases
        self._signed = Signed([address for service, address in metrics if service == "purge"], self._ports)
        self._looks = looks
        self._lock = threading.Lock()

    def history(self) -> History:
        """A row of looks of one's own: whoever looks in between at another pace takes no part in it."""
        return History(self, self._looks)

    def compare(self) -> Look:
        """Takes all countings once: what differs in this moment. Blocks; one at a time, from any thread.

        Raises Uncounted.
        """
        with self._lock:
            return self._compare()

    def _compare(self) -> Look:
        if self._silent:
            raise Uncounted(f"no metrics of {', '.join(self._silent)} are known, so leases can't be counted")
        counted = said(self._metrics, self._ports)
        try:
            records = self._leases() if self._leases is not None else None
        except Unavailable as error:
            raise Uncounted(f"Redis can't be read ({error.reason})") from None
        self._signed.read_on()
        return Look(_compare(counted, records, self._signed), (counted.granted, counted.ended))


class History:
    """Looks in a row. Not for two threads at a time."""

    def __init__(self, reconciler: Reconciler, looks: int) -> None:
        self._reconciler = reconciler
        self._looks = looks
        self._history: list[Look] = []

    def look(self) -> Differences:
        """Takes all countings once more; returns what differs in this look as in the ones before it. Blocks.

        Raises Uncounted.
        """
        self._history = [*self._history, self._reconciler.compare()][-max(self._looks, MOVING_LOOKS) :]
        return self.standing()

    def standing(self) -> Differences:
        """What has differed in each of the last looks; nothing before there were enough of them."""
        last = self._history[-self._looks :]
        if len(last) < self._looks:
            return {}
        found = {name: frozenset.intersection(*(_of(look, name) for look in last)) for name in _NAMED}
        found |= {name: frozenset(_number(self._off(name, last))) for name in _NUMBERS}
        return {name: what for name, what in found.items() if what}

    @property
    def is_undecided(self) -> bool:
        """Whether more looks may show that a difference stands: there were too few, or a number was off in the last."""
        last = self._history[-self._looks :]
        if len(last) < self._looks:
            return True
        return any(look.number(name) for look in last for name in _NUMBERS) and len(self._history) < MOVING_LOOKS

    def _off(self, name: str, last: Sequence[Look]) -> int:
        """By how much a number is wrong, at least; 0: that can't be said."""
        if len({look.moved for look in last}) == 1 and len({look.number(name) for look in last}) == 1:
            return last[0].number(name)
        return _nearest(self._history, name) if len(self._history) >= MOVING_LOOKS else 0


def _of(look: Look, name: str) -> frozenset[str]:
    return look.differences.get(name, frozenset())


def _nearest(looks: Sequence[Look], name: str) -> int:
    """The number that was off by least; 0 if it was right once, or off in either direction."""
    numbers = [look.number(name) for look in looks]
    if min(numbers) > 0:
        return min(numbers)
    return max(numbers) if max(numbers) < 0 else 0


def _compare(counted: Said, records: set[str] | None, signed: Signed) -> Differences:
    found: Mapping[str, set[str]] = {
        "log_without_redis": signed.open - records if records is not None else set(),
        "redis_without_log": records - signed.open if records is not None else set(),
        "ended_twice": signed.twice,
        "metrics": _number(counted.granted - counted.live - counted.ended),
        "metrics_against_log": _number(counted.live - len(signed.open)),
        **{hop: _number(counted.custody[hop] - counted.held[hop]) for hop in HOPS},
    }
    return {name: frozenset(what) for name, what in found.items() if what}


def _number(difference: int) -> set[str]:
    return {f"{difference:+d}"} if difference else set()
