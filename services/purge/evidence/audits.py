"""The last audit statement in this log."""

from __future__ import annotations

from dataclasses import dataclass

from mesh.transparency.errors import VerificationError
from services.purge.audit import LoggedAudit, Statement
from services.purge.ledger import Ledger
from services.purge.receipt import parse_entry


@dataclass(frozen=True, slots=True)
class Seen:
    """index: the leaf. keyid: whose key says that it signed; purge does not check that, the log's readers do."""

    index: int
    statement: Statement
    keyid: str


class LastAudit:
    """Reads the entry once, and again when another one has come."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._seen: Seen | None = None

    def last(self) -> Seen | None:
        """None in a log without any. Reads one small file when there is news."""
        tally = self._ledger.tally
        index = tally.audit if tally is not None else None
        if index is None or (self._seen is not None and self._seen.index == index):
            return self._seen if index is not None else None
        try:
            parsed = parse_entry(self._ledger.log.entry(index))
            if isinstance(parsed, LoggedAudit):
                self._seen = Seen(index, parsed.statement(), parsed.envelope.keyid)
        except (OSError, IndexError, VerificationError):
            return None
        return self._seen
