"""Audit statements on their way into the log."""

from __future__ import annotations

from collections import OrderedDict

from mesh.clock import Clock
from mesh.errors import Invalid
from mesh.log import get_logger
from mesh.transparency.dsse import Envelope
from mesh.transparency.errors import VerificationError
from services.purge.audit import MAX_BYTES, LoggedAudit, Statement
from services.purge.log import Log
from services.purge.tally import Audited

_MISDATED = 600.0  # seconds
_REMEMBERED = 64  # statements: a caller that got no answer asks again at once
_log = get_logger()


class Audits:
    """Takes what the auditor has signed. It is the log's readers who check the signature."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._recorded: OrderedDict[bytes, int] = OrderedDict()

    async def record(self, data: bytes) -> int:
        """The leaf's index. Raises Invalid; Unavailable when the log's disk fails."""
        if (known := self._recorded.get(data)) is not None:
            return known
        logged, statement = _parse(data)
        if abs(statement.time - self._clock.wall()) > _MISDATED:
            raise Invalid("AUDIT_MISDATED", "The statement is of another time; check the clocks.", field="envelope")
        index = await self._log.append(logged.to_entry(), Audited(statement.outcome))
        self._recorded[data] = index
        if len(self._recorded) > _REMEMBERED:
            self._recorded.popitem(last=False)
        _log.info("audit_logged", outcome=statement.outcome, index=index)
        return index


def _parse(data: bytes) -> tuple[LoggedAudit, Statement]:
    if len(data) > MAX_BYTES:
        raise Invalid("AUDIT_MALFORMED", "An audit statement is not this long.", field="envelope", limit=MAX_BYTES)
    try:
        logged = LoggedAudit(Envelope.from_json(data))
        return logged, logged.statement()
    except VerificationError:
        raise Invalid("AUDIT_MALFORMED", "This is no audit statement.", field="envelope") from None
