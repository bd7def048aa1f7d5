"""What a search of one place says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from services.purge.auditor.hunt.index import NeedleIndex

VALKEY = "valkey"
"""Whose the registry's keys are."""
MACHINE = "machine"
"""Instead of a service, where none can be named: a folder that all of them share."""


@dataclass(frozen=True, slots=True)
class Hunted:
    """What is looked for. photo_ids: of leases that have ended."""

    index: NeedleIndex
    photo_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """Residue. where: of ``services.purge.audit.PLACES``. what: the needle's name, or why it must not be there.

    detail: for whoever has to find it: a region, a file, a key. bytes: how much.
    """

    service: str
    where: str
    what: str
    bytes: int
    detail: str = ""


@dataclass(slots=True)
class Searched:
    """bytes: read. memory: the same by service, of memory.

    failed: what could not be searched, in plain words: then nothing can be said of it.
    """

    where: str
    bytes: int = 0
    found: list[Found] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    memory: Counter[str] = field(default_factory=Counter)

    def add(self, found: Iterable[Found]) -> None:
        self.found.extend(found)


class Place(Protocol):
    """Somewhere to look. Blocks: call it in a thread. where: the first of its places."""

    where: str

    def search(self, hunted: Hunted) -> list[Searched]:
        """Everything that is found there now; nothing is raised for what can't be searched."""
