"""The report itself: what was found over a period, what it rests on, and its one signed spelling.

It is the payload of a DSSE envelope (Ed25519), of the type PAYLOAD_TYPE, in canonical JSON (RFC 8785).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from clients.audit import Audit, Trust, audit_logs
from clients.evidence import prometheus
from clients.evidence.definitions import DEFINITIONS
from clients.evidence.figures import Figures, Value, sentence
from clients.evidence.period import Period, format_moment, read_moment
from mesh.transparency import dsse
from mesh.transparency.canonical import fields, from_json, text, to_json
from mesh.transparency.errors import VerificationError
from mesh.transparency.keys import SigningKey
from mesh.transparency.tiles import Reader

TYPE: Final = "https://mayfly.dev/evidence/v1"
PAYLOAD_TYPE: Final = "application/vnd.mayfly.evidence.v1+json"
MAX_BYTES: Final = 64 << 20
AUDIT_GAP: Final = 1800
"""Seconds: two of the auditor's usual intervals (MAYFLY_AUDITOR_INTERVAL), after which MayflyAuditSilent pages."""
_FIELDS = frozenset({"type", "made", "period", "sentence", "logs", "figures", "definitions", "prometheus"})
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """period; value: the report as JSON has it, all of it."""

    period: Period
    value: dict[str, Any]

    @property
    def payload(self) -> bytes:
        return to_json(self.value)

    @property
    def digest(self) -> str:
        """SHA-256 of the payload, hex: what the other forms of the report carry."""
        return hashlib.sha256(self.payload).hexdigest()

    @property
    def figures(self) -> dict[str, Any]:
        return dict(self.value["figures"])

    @property
    def heads(self) -> dict[str, bytes]:
        """The signed checkpoint of each log, by origin."""
        return {log["origin"]: log["checkpoint"].encode() for log in self.value["logs"]}


def make(
    readers: Sequence[Reader],
    trust: Trust,
    period: Period,
    *,
    now: int,
    audit_gap: int = AUDIT_GAP,
    prometheus_url: str = "",
    progress: Progress = lambda done, total: None,
) -> Report:
    """Replays the logs and counts. Raises as ``audit_logs`` and ``prometheus.ask``. now: Unix seconds."""
    figures, audit = count(readers, trust, period, now=now, audit_gap=audit_gap, progress=progress)
    asked = _asked(prometheus_url, period, asked_about(period, now)) if prometheus_url else None
    return Report(
        period,
        {
            "type": TYPE,
            "made": format_moment(now),
            "period": {"since": format_moment(period.since), "until": format_moment(period.until)},
            "sentence": sentence(figures, period),  # type: ignore[arg-type]
            "logs": _logs(audit),
            "figures": figures,
            "definitions": [definition.to_value(period) for definition in DEFINITIONS],
            "prometheus": asked,
        },
    )


def asked_about(period: Period, made: int) -> int:
    """The moment that Prometheus is asked about. made: when the report is; both Unix seconds."""
    return min(period.until, made - prometheus.ARRIVED)


def count(
    readers: Sequence[Reader],
    trust: Trust,
    period: Period,
    *,
    now: int,
    audit_gap: int,
    until: Mapping[str, bytes] | None = None,
    progress: Progress = lambda done, total: None,
) -> tuple[Value, Audit]:
    """The figures, and the replay that they come from. until: heads to read up to, by origin, instead of the newest."""
    counting = Figures(period, audit_gap)
    audit = audit_logs(readers, trust, now=float(now), progress=progress, observer=counting, until=until)
    return counting.value(audit.recount), audit


def sign(report: Report, key: SigningKey) -> bytes:
    """The signed file."""
    return dsse.sign(PAYLOAD_TYPE, report.payload, key).to_json() + b"\n"


def open_report(data: bytes, keys: Sequence[Ed25519PublicKey]) -> Report:
    """What one of ``keys`` has signed. Raises VerificationError("envelope", "signature" or "report", ...)."""
    if len(data) > MAX_BYTES:
        raise VerificationError("report", "A report is never this long.")
    payload = dsse.verify(dsse.Envelope.from_json(data.rstrip(b"\n")), dsse.keyring(keys), PAYLOAD_TYPE)
    value = fields(from_json(payload, "report"), _FIELDS, "report")
    if value["type"] != TYPE:
        raise VerificationError("report", "This is a report of another version.")
    try:
        period = value["period"]
        assert isinstance(period, dict)
        since, until = (read_moment(text(period[name], "report")) for name in ("since", "until"))
        return Report(Period(since, until), value)
    except (ValueError, KeyError, AssertionError) as error:
        raise VerificationError("report", "The report's period is none.") from error


def _asked(url: str, period: Period, at: int) -> Value:
    return {"url": url, "at": format_moment(at), "answers": prometheus.ask(url, period, at)}


def _logs(audit: Audit) -> list[Value]:
    return [
        {
            "origin": shard.checkpoint.origin,
            "size": shard.checkpoint.size,
            "root": base64.b64encode(shard.checkpoint.root).decode(),
            "checkpoint": shard.note.decode(),
        }
        for shard in audit.shards
    ]
