"""What the last 24 hours add up to, minute by minute: kept while the log grows, and part of its snapshot.

A lease belongs to the minute in which it was admitted, as its receipt says; where a crash has lost that, to the earlier
of its end and the end that was granted. It is counted once it has ended; those that live are the book's to count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MINUTES = 1440
RESIDENCY = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
"""Seconds: upper bounds, inclusive, of the histogram's bars. No lease is longer than the last one; one more bar holds
what was."""
_KEPT = MINUTES + 180  # minutes; beyond a day, so that a lease's admission is still there when its end leaves
_BARS = len(RESIDENCY) + 1


Row = list[object]


class Longest(NamedTuple):
    """residency: seconds from admission to the end. lease: how many were granted; None if another log granted them."""

    residency: float
    lease: int | None

    @property
    def rank(self) -> tuple[float, bool, int]:
        """Of several that lived equally long, the one of the shortest lease: it came closest to its end."""
        return self.residency, self.lease is not None, -(self.lease or 0)


@dataclass(slots=True)
class Minute:
    """admitted: leases that began in it, and have ended since. ended: outcome → leases that ended in it.

    residency: how many of those that ended fall into each bar. unknown: of how many a crash lost it.
    """

    admitted: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    residency: list[int] = field(default_factory=lambda: [0] * _BARS)
    unknown: int = 0
    longest: Longest | None = None

    def row(self, number: int) -> Row:
        """All of it, as JSON has it."""
        bars = [[bar, count] for bar, count in enumerate(self.residency) if count]
        longest = list(self.longest) if self.longest is not None else None
        return [number, self.admitted, dict(self.ended), bars, self.unknown, longest]


@dataclass(frozen=True, slots=True)
class DayTotals:
    """admitted: leases that began within the day and have ended. carried: leases that ended in it and began before."""

    admitted: int
    carried: int
    ended: Mapping[str, int]
    residency: tuple[int, ...]
    unknown: int
    longest: Longest | None

    @property
    def ends(self) -> int:
        return sum(self.ended.values())


class Day:
    """Belongs to the thread that appends to the log; ``totals`` may be asked for from another one."""

    def __init__(self) -> None:
        self._minutes: dict[int, Minute] = {}
        self._rows: dict[int, Row] = {}
        self._changed: set[int] = set()  # minutes that differ from their rows

    def add(self, outcome: str, ended: int, admitted: int | None, residency: float | None, expire: int | None) -> None:
        """A receipt. Times are Unix seconds; expire: when its lease would have ended, None if another log says so."""
        began = admitted if admitted is not None else min(ended, ended if expire is None else expire)
        self._at(began).admitted += 1
        minute = self._at(ended)
        minute.ended[outcome] += 1
        if residency is None:
            minute.unknown += 1
        else:
            minute.residency[bisect_left(RESIDENCY, residency)] += 1
            this = Longest(residency, None if expire is None else max(0, expire - began))
            if minute.longest is None or this.rank > minute.longest.rank:
                minute.longest = this

    def totals(self, now: float) -> DayTotals:
        """Over the last 24 hours: the minute of ``now`` (Unix seconds) and the 1,440 before it."""
        last = int(now // 60)
        minutes = [minute for number, minute in list(self._minutes.items()) if last - MINUTES <= number <= last]
        ended: Counter[str] = Counter()
        for minute in minutes:
            ended.update(dict(minute.ended))  # a copy: the thread of the log goes on counting meanwhile
        admitted = sum(minute.admitted for minute in minutes)
        longest = [minute.longest for minute in minutes if minute.longest is not None]
        return DayTotals(
            admitted=admitted,
            carried=sum(ended.values()) - admitted,
            ended=dict(ended),
            residency=tuple(map(sum, zip(*(minute.residency for minute in minutes), strict=True))) or (0,) * _BARS,
            unknown=sum(minute.unknown for minute in minutes),
            longest=max(longest, key=lambda each: each.rank, default=None),
        )

    def rows(self) -> list[Row]:
        """What it is now, for the snapshot, while it goes on; ``of_rows`` is the inverse. Costs what has changed."""
        for number in self._changed & self._minutes.keys():
            self._rows[number] = self._minutes[number].row(number)
        self._changed.clear()
        return list(self._rows.values())

    @classmethod
    def of_rows(cls, rows: Iterable[Row]) -> Day:
        """Raises ValueError, TypeError, IndexError for what ``rows`` never yields."""
        day = cls()
        for number, admitted, ended, bars, unknown, longest in rows:
            minute = day._minutes[int(number)] = Minute(int(admitted), Counter(ended), unknown=int(unknown))  # type: ignore[call-overload]
            for bar, count in bars:  # type: ignore[attr-defined]
                minute.residency[bar] = count
            minute.longest = Longest(*longest) if longest is not None else None  # type: ignore[misc]
        day._changed.update(day._minutes)
        return day

    def _at(self, second: int) -> Minute:
        """Of which something is about to change."""
        number = second // 60
        self._changed.add(number)
        minute = self._minutes.get(number)
        if minute is None:
            minute = self._minutes[number] = Minute()
            if len(self._minutes) > _KEPT:
                oldest = min(self._minutes)
                del self._minutes[oldest]
                self._rows.pop(oldest, None)
        return minute
