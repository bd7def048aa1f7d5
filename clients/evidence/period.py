"""The period that a report is about: half open, in whole seconds of Unix time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_AGO = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Period:
    """since ≤ t < until. Raises ValueError for one that is empty or begins before 1970."""

    since: int
    until: int

    def __post_init__(self) -> None:
        if not 0 <= self.since < self.until:
            raise ValueError("the period ends before it begins")

    def __contains__(self, second: float) -> bool:
        return self.since <= second < self.until

    @property
    def seconds(self) -> int:
        return self.until - self.since


def parse_moment(text: str, now: float) -> int:
    """ "30d", "12h" (so long before ``now``), "2026-11-01", or RFC 3339. Raises ValueError."""
    if match := _AGO.fullmatch(text):
        return int(now) - int(match[1]) * _UNITS[match[2]]
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp())


def format_moment(second: float) -> str:
    """RFC 3339 in UTC."""
    return datetime.fromtimestamp(int(second), UTC).strftime(_FORMAT)


def read_moment(text: str) -> int:
    """The inverse. Raises ValueError."""
    return int(datetime.strptime(text, _FORMAT).replace(tzinfo=UTC).timestamp())


def day_of(second: float) -> str:
    """ "2026-11-28", UTC."""
    return datetime.fromtimestamp(int(second), UTC).strftime("%Y-%m-%d")
