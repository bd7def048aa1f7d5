"""What the log's entries add up to, kept while they are appended and rebuilt at a start.

Memory: about 100 bytes for each open grant, and for each of at most 262,144 receipts of the last hour; and less than
1 MB for the last day's minutes.
"""

from __future__ import annotations

import base64
import json
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from services.purge.audit import LoggedAudit
from services.purge.day import Day
from services.purge.receipt import LoggedReceipt, Receipt, parse_entry

RECENT_SECONDS = 3600  # as long as Redis keeps a receipt
_GENERATION_SECONDS = 900
_GENERATION_SIZE = 1 << 14
_GENERATIONS = 16
_GRANT = b'{"expire_time":"'
_INDEX_BITS = 48


class Granted(NamedTuple):
    """A grant. expire: Unix seconds."""

    photo_id: str
    expire: int


class Ended(NamedTuple):
    """A receipt. ended, admitted: Unix seconds. admitted, residency (seconds): None where a crash lost them."""

    photo_id: str
    outcome: str
    reason: str
    ended: int
    admitted: int | None = None
    residency: float | None = None


class Audited(NamedTuple):
    """An audit statement, which neither begins nor ends a lease."""

    outcome: str


Fact = Granted | Ended | Audited


def read_fact(entry: bytes) -> Fact:
    """What an entry of our own log says, in a fifth of the time of ``parse_entry``: it was checked when it was written.

    Raises VerificationError for what is no entry.
    """
    try:
        value = json.loads(entry)
        if entry.startswith(_GRANT):
            return Granted(value["photo_id"], _seconds(value["expire_time"]))
        if value["type"] == "audit":
            return Audited(LoggedAudit.from_value(value).statement().outcome)
        receipt = json.loads(base64.b64decode(value["envelope"]["payload"]))
        admitted = receipt["admitted_time"]
        return Ended(
            receipt["photo_id"],
            receipt["outcome"],
            receipt["reason"],
            _seconds(receipt["ended_time"]),
            None if admitted is None else _seconds(admitted),
            receipt["residency_seconds"],
        )
    except (ValueError, KeyError, TypeError):
        parsed = parse_entry(entry)  # says what is wrong with it
        if isinstance(parsed, LoggedReceipt):
            return ended(parsed.receipt())
        if isinstance(parsed, LoggedAudit):
            return Audited(parsed.statement().outcome)
        return Granted(parsed.photo_id, parsed.expire_time)


def ended(receipt: Receipt) -> Ended:
    """What the account keeps of a receipt."""
    return Ended(
        receipt.photo_id,
        receipt.outcome,
        receipt.reason,
        receipt.ended_time,
        receipt.admitted_time,
        receipt.residency_seconds,
    )


def _seconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())


class Totals(NamedTuple):
    """granted: leases. ended: (outcome, reason) → leases. The difference of the sums is what is open."""

    granted: int
    ended: Mapping[tuple[str, str], int]


class Recent:
    """photo_id → index of its receipt, for the last hour. Forgets by whole generations, which cost nothing to forget.

    The key is the first half of the photo_id: whoever asks has to look whether the receipt is the one he meant.
    """

    def __init__(self) -> None:
        self.generations: deque[tuple[int, dict[int, int]]] = deque()  # (ended_time of its first, receipts)

    def add(self, photo_id: str, index: int, ended: int) -> None:
        if not self.generations or self._is_full(ended):
            self.generations.append((ended, {}))
            self._forget(ended)
        self.generations[-1][1][_short(photo_id)] = index

    def get(self, photo_id: str) -> int | None:
        key = _short(photo_id)
        for _, receipts in reversed(self.generations):
            if (index := receipts.get(key)) is not None:
                return index
        return None

    def _is_full(self, ended: int) -> bool:
        began, receipts = self.generations[-1]
        return len(receipts) >= _GENERATION_SIZE or ended - began >= _GENERATION_SECONDS

    def _forget(self, now: int) -> None:
        """A generation is over when the one after it began."""
        while len(self.generations) > _GENERATIONS or (
            len(self.generations) > 1 and self.generations[1][0] < now - RECENT_SECONDS
        ):
            self.generations.popleft()


class Tally:
    """covered: how many entries have been added. Totals only ever grow. audit: the last audit statement's index."""

    def __init__(self) -> None:
        self.covered = 0
        self.granted = 0
        self.ended: Counter[tuple[str, str]] = Counter()
        self.recent = Recent()
        self.day = Day()
        self.audit: int | None = None
        # expire_time and index of each open grant in one number, which takes a third of what a tuple takes.
        self.packed: dict[str, int] = {}

    def add(self, fact: Fact) -> None:
        index = self.covered
        self.covered = index + 1
        if isinstance(fact, Granted):
            self.granted += 1
            self.packed[fact.photo_id] = fact.expire << _INDEX_BITS | index
        elif isinstance(fact, Ended):
            self.ended[fact.outcome, fact.reason] += 1
            packed = self.packed.pop(fact.photo_id, None)
            self.recent.add(fact.photo_id, index, fact.ended)
            expire = None if packed is None else packed >> _INDEX_BITS
            self.day.add(fact.outcome, fact.ended, fact.admitted, fact.residency, expire)
        else:
            self.audit = index

    @property
    def totals(self) -> Totals:
        return Totals(self.granted, dict(self.ended))

    def open(self) -> dict[str, int]:
        """photo_id → expire_time of each grant that has no receipt here."""
        return {photo_id: packed >> _INDEX_BITS for photo_id, packed in self.packed.items()}


def _short(photo_id: str) -> int:
    return int(photo_id[:16], 16)
