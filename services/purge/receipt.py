"""What a receipt says, and what the log's leaves are. Both are JSON in one canonical form.

A receipt holds neither identity nor fingerprint (R7): every text in it is an id of Mayfly's own, a word from a closed
list, or a name that matches a narrow pattern. Reading refuses any field that is not known (R8).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.transparency import dsse
from mesh.transparency.canonical import fields, from_json, items, text, to_json
from mesh.transparency.errors import VerificationError
from mesh.transparency.keys import SigningKey
from services.purge.audit import LoggedAudit

TYPE: Final = "https://mayfly.dev/receipt/v1"
PAYLOAD_TYPE: Final = "application/vnd.mayfly.receipt.v1+json"
OUTCOMES: Final = frozenset({"settled", "revoked", "expired"})
REASONS: Final = frozenset(
    {
        "delivered",
        "collected",
        "requested",
        "upload_aborted",
        "refused",
        "engine_failed",
        "peer_lost",
        "registry_lost",
        "overdue",
        "operator",
        "shutdown",
    }
)
SETTLING: Final = frozenset({"delivered", "collected"})
HOLDERS: Final = frozenset({"gateway", "ingest", "render", "purge"})
STATES: Final = frozenset({"released", "lost", "unknown", "unconfirmed"})
MAX_SECONDS: Final = 1e9

_NONCE_DOMAIN: Final = b"mayfly.receipt.nonce.v1\0"
_PHOTO_ID = re.compile(r"[0-9a-f]{32}")
_COMMITMENT = re.compile(r"([0-9a-f]{64})?")
_CONTROL = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_VERSION = re.compile(r"[A-Za-z0-9._-]{0,64}")
_PROCESSOR = re.compile(r"[a-z0-9][a-z0-9_.:/@+-]{0,127}")
_TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"

_RECEIPT = frozenset(
    {
        "type",
        "photo_id",
        "nonce_commitment",
        "admitted_time",
        "ended_time",
        "outcome",
        "reason",
        "custody",
        "residency_seconds",
        "lockdown",
        "policy_version",
        "processors",
    }
)
_CUSTODY = frozenset({"holder", "state", "seconds"})
_GRANT = frozenset({"type", "photo_id", "expire_time"})
_LOGGED = frozenset({"type", "envelope"})


@dataclass(frozen=True, slots=True)
class Custody:
    """One holder's interval. seconds: how long, rounded to a millisecond; an upper bound for ``lost`` and ``unknown``.

    lost: its process is known to be dead. unknown: it was named, and never heard of. unconfirmed: it has neither let go
    nor is known to be dead; ``seconds`` goes to the moment of signing.
    """

    holder: str
    state: str
    seconds: float

    def __post_init__(self) -> None:
        _require(self.holder in HOLDERS, "a holder is one of the four services")
        _require(self.state in STATES, "custody ends as released, lost, unknown or unconfirmed")
        object.__setattr__(self, "seconds", _duration(self.seconds))


@dataclass(frozen=True, slots=True)
class Receipt:
    """The statement of one purge. Raises ValueError when made of anything that a receipt must not hold.

    photo_id:           32 lowercase hex digits.
    nonce_commitment:   64 hex digits, see ``commitment``; "" when the client sent no nonce, or it was lost.
    admitted_time:      Unix seconds, rounded to one; None when a crash lost it.
    ended_time:         Unix seconds, rounded to one.
    outcome, reason:    from OUTCOMES and REASONS; ``settled`` goes with ``delivered`` or ``collected`` only.
    custody:            each interval in which a process held the photo.
    residency_seconds:  from admission to the end, rounded to a millisecond; None when a crash lost it.
    lockdown:           per holder, the names of the controls that were in force.
    policy_version:     what the user consented to; "" when a crash lost it.
    processors:         who worked on the photo.
    """

    photo_id: str
    ended_time: int
    outcome: str
    reason: str
    admitted_time: int | None = None
    residency_seconds: float | None = None
    nonce_commitment: str = ""
    custody: tuple[Custody, ...] = ()
    lockdown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policy_version: str = ""
    processors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(_PHOTO_ID.fullmatch(self.photo_id) is not None, "a photo_id has 32 lowercase hex digits")
        _require(_COMMITMENT.fullmatch(self.nonce_commitment) is not None, "a commitment has 64 hex digits or none")
        _require(self.outcome in OUTCOMES, "the outcome is not on the list")
        _require(self.reason in REASONS, "the reason is not on the list")
        _require((self.outcome == "settled") == (self.reason in SETTLING), "the reason does not fit the outcome")
        _require(_VERSION.fullmatch(self.policy_version) is not None, "the policy version is not a plain name")
        _require(_are_processors(self.processors), "a processor is not a plain name")
        _require(self.lockdown.keys() <= HOLDERS, "a holder is one of the four services")
        if self.residency_seconds is not None:
            object.__setattr__(self, "residency_seconds", _duration(self.residency_seconds))
        lockdown = {holder: _controls(tuple(names)) for holder, names in self.lockdown.items()}
        object.__setattr__(self, "lockdown", lockdown)
        format_time(self.ended_time)

    def to_json(self) -> bytes:
        """The receipt's one spelling: what is signed."""
        return to_json(
            {
                "type": TYPE,
                "photo_id": self.photo_id,
                "nonce_commitment": self.nonce_commitment,
                "admitted_time": None if self.admitted_time is None else format_time(self.admitted_time),
                "ended_time": format_time(self.ended_time),
                "outcome": self.outcome,
                "reason": self.reason,
                "custody": [
                    {"holder": item.holder, "state": item.state, "seconds": _number(item.seconds)}
                    for item in self.custody
                ],
                "residency_seconds": None if self.residency_seconds is None else _number(self.residency_seconds),
                "lockdown": {holder: list(names) for holder, names in self.lockdown.items()},
                "policy_version": self.policy_version,
                "processors": list(self.processors),
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> Receipt:
        """Strictly the inverse of ``to_json``. Raises VerificationError("receipt", ...) for anything else."""
        value = fields(from_json(data, "receipt"), _RECEIPT, "receipt")
        if value["type"] != TYPE:
            raise VerificationError("receipt", "This is a receipt of another version.")
        try:
            receipt = _receipt(value)
        except (ValueError, OverflowError) as error:
            raise VerificationError("receipt", "A field of the receipt holds what a receipt never holds.") from error
        if receipt.to_json() != data:
            raise VerificationError("receipt", "The receipt is not in its canonical form.")
        return receipt


@dataclass(frozen=True, slots=True)
class Grant:
    """The log's leaf for a granted lease. expire_time: Unix seconds, rounded to one."""

    photo_id: str
    expire_time: int

    def to_entry(self) -> bytes:
        """Raises ValueError for a photo_id or a time that can't be one."""
        _require(_PHOTO_ID.fullmatch(self.photo_id) is not None, "a photo_id has 32 lowercase hex digits")
        # As to_json would have it, whose sorting shows when ten thousand leases are granted a second.
        spelled = f'{{"expire_time":"{format_time(self.expire_time)}","photo_id":"{self.photo_id}","type":"grant"}}'
        return spelled.encode()


@dataclass(frozen=True, slots=True)
class LoggedReceipt:
    """The log's leaf for a signed receipt."""

    envelope: dsse.Envelope

    def to_entry(self) -> bytes:
        return b'{"envelope":%b,"type":"receipt"}' % self.envelope.to_json()

    def receipt(self) -> Receipt:
        """The receipt inside, its signature not checked. Raises VerificationError("receipt", ...)."""
        return Receipt.from_json(self.envelope.payload)


LogEntry = Grant | LoggedReceipt | LoggedAudit


def parse_entry(entry: bytes) -> LogEntry:
    """A leaf of the log. Signatures are not checked. Raises VerificationError("entry" or "envelope", ...)."""
    value = from_json(entry, "entry")
    if isinstance(value, dict) and value.get("type") == "receipt":
        return LoggedReceipt(dsse.Envelope.from_value(fields(value, _LOGGED, "entry")["envelope"]))
    if isinstance(value, dict) and value.get("type") == "audit":
        return LoggedAudit.from_value(value)
    grant = fields(value, _GRANT, "entry")
    try:
        parsed = Grant(text(grant["photo_id"], "entry"), _parse_time(grant["expire_time"]))
        same = parsed.to_entry() == entry
    except ValueError as error:
        raise VerificationError("entry", "A field of the grant holds what a grant never holds.") from error
    if not same:
        raise VerificationError("entry", "This is neither a grant, a receipt nor an audit.")
    return parsed


def commitment(nonce: bytes) -> str:
    """What a receipt says of the client's nonce: with the nonce one can claim the receipt, without it not link it."""
    return hashlib.sha256(_NONCE_DOMAIN + nonce).hexdigest()


def sign_receipt(receipt: Receipt, key: SigningKey, keyid: str = "") -> dsse.Envelope:
    """keyid: of ``key``, if the caller knows it. Raises as the key does."""
    return dsse.sign(PAYLOAD_TYPE, receipt.to_json(), key, keyid)


def open_receipt(envelope: dsse.Envelope, keys: Mapping[str, Ed25519PublicKey]) -> Receipt:
    """The receipt that one of ``keys`` (by key id) has signed. Raises VerificationError("signature", "receipt")."""
    return Receipt.from_json(dsse.verify(envelope, keys, PAYLOAD_TYPE))


def format_time(seconds: float) -> str:
    """RFC 3339 in UTC, rounded to a second. Raises ValueError outside the years 1 to 9999."""
    return _format_second(round(seconds))


@lru_cache(maxsize=1024)  # many leases begin and end within one second
def _format_second(second: int) -> str:
    try:
        return datetime.fromtimestamp(second, UTC).strftime(_TIME_FORMAT)
    except (OverflowError, OSError) as error:
        raise ValueError("no such time") from error


def _parse_time(value: object) -> int:
    moment = datetime.strptime(text(value, "time"), _TIME_FORMAT)
    return round(moment.replace(tzinfo=UTC).timestamp())


def _receipt(value: dict[str, object]) -> Receipt:
    lockdown = value["lockdown"]
    if not isinstance(lockdown, dict):
        raise ValueError("lockdown is not an object")
    admitted, residency = value["admitted_time"], value["residency_seconds"]
    return Receipt(
        photo_id=_text(value["photo_id"]),
        nonce_commitment=_text(value["nonce_commitment"]),
        admitted_time=None if admitted is None else _parse_time(admitted),
        ended_time=_parse_time(value["ended_time"]),
        outcome=_text(value["outcome"]),
        reason=_text(value["reason"]),
        custody=tuple(map(_custody, items(value["custody"], "receipt"))),
        residency_seconds=None if residency is None else _seconds(residency),
        lockdown={holder: _texts(names) for holder, names in lockdown.items()},
        policy_version=_text(value["policy_version"]),
        processors=_texts(value["processors"]),
    )


def _custody(value: object) -> Custody:
    item = fields(value, _CUSTODY, "receipt")
    return Custody(_text(item["holder"]), _text(item["state"]), _seconds(item["seconds"]))


def _text(value: object) -> str:
    return text(value, "receipt")


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(_text, items(value, "receipt")))


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("a duration is a number")
    return float(value)


def _duration(seconds: float) -> float:
    _require(math.isfinite(seconds) and 0 <= seconds <= MAX_SECONDS, "a duration is not negative, nor endless")
    return round(float(seconds), 3)


@lru_cache(maxsize=256)  # there are as many as processes with other settings
def _controls(names: tuple[str, ...]) -> tuple[str, ...]:
    _require(all(map(_CONTROL.fullmatch, names)), "a control is not a plain name")
    return tuple(sorted(set(names)))


@lru_cache(maxsize=256)
def _are_processors(names: tuple[str, ...]) -> bool:
    return all(map(_PROCESSOR.fullmatch, names))


def _number(seconds: float) -> int | float:
    """RFC 8785 writes a whole number without a fraction."""
    return int(seconds) if seconds.is_integer() else seconds


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence)
