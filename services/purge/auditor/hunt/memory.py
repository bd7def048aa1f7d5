"""Searching the memory of a process for what must not be there."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from services.purge.auditor.hunt.index import NeedleIndex
from services.purge.auditor.hunt.process import ProcessGone, Region, chunks
from services.purge.auditor.hunt.tables import distinct
from services.purge.auditor.hunt.words import Words


@dataclass(frozen=True, slots=True)
class Remains:
    """A stretch of a process's memory that consists of windows which are looked for.

    region: kind of mapping, see ``process.Region``. offset: bytes from the region's beginning. length: bytes.
    """

    region: str
    offset: int
    length: int
    what: str


@dataclass(frozen=True, slots=True)
class MemorySearch:
    """searched: bytes of memory that were read. unread: bytes that the kernel did not give."""

    pid: int
    searched: int = 0
    unread: int = 0
    remains: list[Remains] = field(default_factory=list)

    @property
    def residue(self) -> int:
        """Bytes found."""
        return sum(each.length for each in self.remains)


def search(pid: int, index: NeedleIndex) -> MemorySearch:
    """Every window of the index that is in the process's memory. Of one that ends meanwhile: what was found until then.

    Raises NotPermitted.
    """
    searched, unread, found = 0, 0, list[Remains]()
    last: tuple[Region, int] | None = None
    try:
        for chunk in chunks(pid):
            searched += len(chunk.data)
            unread += chunk.unread
            if not len(chunk.data):
                continue
            begin = chunk.address - chunk.region.begin
            for match in index.search(chunk.data):
                remains = Remains(chunk.region.kind, begin + match.offset, match.length, match.what)
                if last is not None and last[0] == chunk.region and remains.offset <= last[1]:
                    remains = _joined(found.pop(), remains)  # the other half lies in the chunk before
                found.append(remains)
                last = chunk.region, remains.offset + remains.length
    except ProcessGone:
        pass
    return MemorySearch(pid, searched, unread, found)


def learn(pid: int, index: NeedleIndex) -> Words:
    """What of the index is in a process that can't have the photo; for ``NeedleIndex.without``. Raises NotPermitted."""
    known = [np.empty(0, np.uint64)]
    with suppress(ProcessGone):
        known.extend(index.seen(chunk.data) for chunk in chunks(pid))
    return distinct(np.concatenate(known))


def _joined(first: Remains, second: Remains) -> Remains:
    end = max(first.offset + first.length, second.offset + second.length)
    return Remains(first.region, first.offset, end - first.offset, first.what)
