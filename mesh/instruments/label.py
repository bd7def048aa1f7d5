"""A label, and all that it may say (rule R7): a list in the code, or a bounded source that only a process knows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

OTHER = "other"
"""What a value that isn't listed becomes, for labels that have it on their list."""
# What may come from a source: words, names of packages and methods, versions, HOST:PORT.
_PLAIN = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9_.:/@+\[\]-]{0,127}")


@dataclass(frozen=True, slots=True)
class Label:
    """values: what it may say in any process.

    source: where further values come from, in words; each is admitted once, before it is first emitted. at_most: how
    many of those.
    """

    name: str
    values: tuple[str, ...] = ()
    source: str = ""
    at_most: int = 0

    @property
    def bound(self) -> int:
        """How many values there can be in one process."""
        return len(self.values) + self.at_most


def listed(name: str, values: Iterable[str], *, other: bool = False) -> Label:
    """other: an unlisted value is emitted as "other", so that sums stay whole; it counts as withheld all the same."""
    return Label(name, (*dict.fromkeys(str(value) for value in values), *([OTHER] * other)))


def sourced(name: str, source: str, at_most: int, *, other: bool = False) -> Label:
    """source: "the pinned list of processors". Values that aren't plain names are never emitted, whoever admits them.

    other: as for ``listed``.
    """
    return Label(name, (OTHER,) * other, source, at_most)


def is_plain(value: str) -> bool:
    """Whether a source may name this."""
    return _PLAIN.fullmatch(value) is not None
