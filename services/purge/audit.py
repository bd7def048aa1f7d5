"""What an audit statement says: that canaries were sent, where remains of them were looked for, how much was found.

Signed by the auditor's own key, and a leaf of the log. As in a receipt, every text in it is a word from a closed list
or a name that matches a narrow pattern, so that it can hold no byte of a photo, not even of a synthetic one (R7).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.transparency import dsse
from mesh.transparency.canonical import fields, from_json, items, text, to_json
from mesh.transparency.errors import VerificationError
from mesh.transparency.keys import SigningKey

TYPE: Final = "https://mayfly.dev/audit/v1"
PAYLOAD_TYPE: Final = "application/vnd.mayfly.audit.v1+json"
OUTCOMES: Final = frozenset({"clean", "residue", "incomplete"})
"""incomplete: nothing was found, but something could not be searched, sent or reconciled."""
PLACES: Final = frozenset({"memory", "file", "descriptor", "redis", "log", "metrics", "core"})
ALWAYS_SEARCHED: Final = ("memory", "file", "redis", "log", "metrics")
"""What an audit must have looked at to be clean. The other places need not have anything in them."""
UNREACHABLE: Final = frozenset({"redis", "log"})
"""What a deployment may declare to be out of its auditor's reach. It is then said in every statement."""
WHOLE: Final = 1000  # per mille
CONTROL_ENOUGH: Final = 990
"""Per mille of the positive control that a hunter finds who isn't blind. What is missing was overwritten by Python
itself, some ten bytes at a time."""
RESOLUTION: Final = 60  # seconds to which the time is rounded
MAX_BYTES: Final = 60_000  # of an envelope; a log entry has at most 65,535

_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_ID = re.compile(r"[0-9a-f]{32}")
_COUNT: Final = 1 << 62
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_STATEMENT = frozenset(
    {
        "type", "id", "time", "outcome", "canaries", "searched", "memory", "not_searched", "control", "residue",
        "reconciled",
    }
)  # fmt: skip
_RESIDUE = frozenset({"service", "where", "bytes"})
_LOGGED = frozenset({"type", "envelope"})


@dataclass(frozen=True, slots=True)
class Residue:
    """bytes: found in ``where`` (of PLACES) of a service, or of "machine" where no service can be named."""

    service: str
    where: str
    bytes: int

    def __post_init__(self) -> None:
        _require(_WORD.fullmatch(self.service) is not None, "a service is a plain word")
        _require(self.where in PLACES, "the place is not on the list")
        _require(0 < self.bytes < _COUNT, "residue is a positive number of bytes")


@dataclass(frozen=True, slots=True)
class Statement:
    """Raises ValueError when made of anything that a statement must not hold.

    time:          Unix seconds, rounded to a minute. outcome: of OUTCOMES; "clean" only without ``shortcomings``.
    canaries:      each way of ending that was planned → how many were sent and ended so.
    searched:      place → bytes that were read. memory: the same of memory alone, by service.
    not_searched:  places that this auditor is declared unable to reach.
    control:       how much of the positive control was found, in per mille.
    reconciled:    whether the countings of leases agreed; None when they were not taken.
    id:            32 hex digits, no two statements share one, so that nobody can show an old one again.
    """

    time: int
    outcome: str
    canaries: Mapping[str, int] = field(default_factory=dict)
    searched: Mapping[str, int] = field(default_factory=dict)
    residue: tuple[Residue, ...] = ()
    reconciled: bool | None = None
    memory: Mapping[str, int] = field(default_factory=dict)
    not_searched: tuple[str, ...] = ()
    control: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", round(self.time / RESOLUTION) * RESOLUTION)
        _require(self.outcome in OUTCOMES, "the outcome is not on the list")
        _require(all(map(_WORD.fullmatch, self.canaries)), "a way of ending is a plain word")
        _require(self.searched.keys() <= PLACES, "a place is not on the list")
        _require(all(map(_WORD.fullmatch, self.memory)), "a service is a plain word")
        counts = [*self.canaries.values(), *self.searched.values(), *self.memory.values()]
        _require(all(0 <= n < _COUNT for n in counts), "not a count")
        _require(sum(self.memory.values()) == self.searched.get("memory", 0), "the services' memory is not all of it")
        _require(list(self.not_searched) == sorted(set(self.not_searched)), "what was not searched is a sorted set")
        _require(UNREACHABLE.issuperset(self.not_searched), "this place is always in reach")
        _require(not any(map(self.searched.get, self.not_searched)), "what was searched was in reach")
        _require(0 <= self.control <= WHOLE, "the control is a share, in per mille")
        _require(_ID.fullmatch(self.id) is not None, "an id is 32 hex digits")
        _require((self.outcome == "residue") == bool(self.residue), "the outcome does not fit what was found")
        _require(self.outcome != "clean" or not any(self.shortcomings()), "an audit that did not look is not clean")
        _format(self.time)

    def shortcomings(self) -> Iterator[str]:
        """Why an audit that found nothing proves nothing: sentences."""
        if not self.canaries:
            yield "no canary was sent"
        yield from (f"no canary ended as {ending}" for ending, count in self.canaries.items() if not count)
        for place in ALWAYS_SEARCHED:
            if not self.searched.get(place) and place not in self.not_searched:
                yield f"nothing was searched in the place: {place}"
        yield from (f"no memory of {service} was searched" for service, size in self.memory.items() if not size)
        if self.control < CONTROL_ENOUGH:
            yield f"of the positive control {self.control / WHOLE:.1%} was found"
        if self.reconciled is None:
            yield "the leases were not counted"
        elif not self.reconciled:
            yield "the countings of leases disagree"

    def to_json(self) -> bytes:
        """The statement's one spelling: what is signed."""
        return to_json(
            {
                "type": TYPE,
                "id": self.id,
                "time": _format(self.time),
                "outcome": self.outcome,
                "canaries": dict(self.canaries),
                "searched": dict(self.searched),
                "memory": dict(self.memory),
                "not_searched": list(self.not_searched),
                "control": self.control,
                "residue": [{"service": r.service, "where": r.where, "bytes": r.bytes} for r in self.residue],
                "reconciled": self.reconciled,
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> Statement:
        """Strictly the inverse of ``to_json``. Raises VerificationError("audit", ...) for anything else."""
        value = fields(from_json(data, "audit"), _STATEMENT, "audit")
        if value["type"] != TYPE:
            raise VerificationError("audit", "This is an audit statement of another version.")
        try:
            statement = _statement(value)
            same = statement.to_json() == data
        except (ValueError, OverflowError) as error:
            raise VerificationError("audit", "A field of the audit statement holds what it never holds.") from error
        if not same:
            raise VerificationError("audit", "The audit statement is not in its canonical form.")
        return statement


@dataclass(frozen=True, slots=True)
class LoggedAudit:
    """The log's leaf for a signed statement."""

    envelope: dsse.Envelope

    def to_entry(self) -> bytes:
        return b'{"envelope":%b,"type":"audit"}' % self.envelope.to_json()

    @classmethod
    def from_value(cls, value: dict[str, object]) -> LoggedAudit:
        """Raises VerificationError("entry" or "envelope", ...)."""
        return cls(dsse.Envelope.from_value(fields(value, _LOGGED, "entry")["envelope"]))

    def statement(self) -> Statement:
        """The statement inside, its signature not checked. Raises VerificationError("audit", ...)."""
        if self.envelope.payload_type != PAYLOAD_TYPE:
            raise VerificationError("audit", "This envelope holds no audit statement.")
        return Statement.from_json(self.envelope.payload)


def sign_statement(statement: Statement, key: SigningKey) -> dsse.Envelope:
    """Raises as the key does."""
    return dsse.sign(PAYLOAD_TYPE, statement.to_json(), key)


def open_statement(envelope: dsse.Envelope, keys: Mapping[str, Ed25519PublicKey]) -> Statement:
    """What one of ``keys`` (by key id) has signed. Raises VerificationError("signature", "audit")."""
    return Statement.from_json(dsse.verify(envelope, keys, PAYLOAD_TYPE))


def _statement(value: dict[str, object]) -> Statement:
    reconciled = value["reconciled"]
    _require(reconciled is None or isinstance(reconciled, bool), "reconciled is yes, no or unknown")
    time = datetime.strptime(text(value["time"], "audit"), _TIME).replace(tzinfo=UTC)
    return Statement(
        time=round(time.timestamp()),
        outcome=text(value["outcome"], "audit"),
        canaries=_counts(value["canaries"]),
        searched=_counts(value["searched"]),
        residue=tuple(map(_residue, items(value["residue"], "audit"))),
        reconciled=bool(reconciled) if reconciled is not None else None,
        memory=_counts(value["memory"]),
        not_searched=tuple(text(each, "audit") for each in items(value["not_searched"], "audit")),
        control=_count(value["control"]),
        id=text(value["id"], "audit"),
    )


def _residue(value: object) -> Residue:
    item = fields(value, _RESIDUE, "audit")
    return Residue(text(item["service"], "audit"), text(item["where"], "audit"), _count(item["bytes"]))


def _counts(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError("counts are an object")
    return {name: _count(number) for name, number in value.items()}


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("a count is a whole number")
    return value


def _format(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(_TIME)
    except (OverflowError, OSError) as error:
        raise ValueError("no such time") from error


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence)
