"""The public keys of a mesh and when each was in use: what it publishes for whoever verifies.

Canonical JSON. It is not signed: whoever takes it from somewhere trusts that place, as with any public key.

    {"origin": "...", "receipts": [{"key_id", "public_key", "not_before", "not_after"}, ...],
     "log": [{"vkey", "not_before", "not_after"}, ...], "witnesses": [vkey, ...]}

public_key is base64 over 32 bytes, times are RFC 3339 in UTC, and ``not_after`` is null while a key is in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.transparency.canonical import fields, from_base64, from_json, items, text, to_base64, to_json
from mesh.transparency.dsse import key_id
from mesh.transparency.errors import VerificationError
from mesh.transparency.note import Verifier

MAX_LIST = 1 << 20  # bytes
_LIST = frozenset({"origin", "receipts", "log", "witnesses"})
_RECEIPTS = frozenset({"key_id", "public_key", "not_before", "not_after"})
_LOG = frozenset({"vkey", "not_before", "not_after"})
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Period:
    """A key and when it signed, Unix seconds; not_after: None while it does."""

    key: Ed25519PublicKey
    not_before: int
    not_after: int | None = None

    def covers(self, second: int, slack: int) -> bool:
        """Whether the key signed at this time, give or take ``slack`` seconds."""
        return self.not_before - slack <= second <= (second if self.not_after is None else self.not_after + slack)


@dataclass(frozen=True, slots=True)
class KeyList:
    """Periods are in the order of time; only the last one of each kind may be open. witnesses: vkeys."""

    origin: str
    receipts: tuple[Period, ...] = ()
    log: tuple[Period, ...] = ()
    witnesses: tuple[str, ...] = ()

    def signing(self, receipts: Ed25519PublicKey, log: Ed25519PublicKey, now: int) -> KeyList:
        """The list once these two are the keys that sign."""
        return replace(self, receipts=_follow(self.receipts, receipts, now), log=_follow(self.log, log, now))

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """Every key that has ever signed checkpoints, the one in use last."""
        verifiers = [Verifier(self.origin, period.key) for period in self.log]
        return tuple({verifier.vkey: verifier for verifier in verifiers}.values())

    def to_json(self) -> bytes:
        return to_json(
            {
                "origin": self.origin,
                "receipts": [
                    {"key_id": key_id(p.key), "public_key": to_base64(p.key.public_bytes_raw()), **_times(p)}
                    for p in self.receipts
                ],
                "log": [{"vkey": Verifier(self.origin, p.key).vkey, **_times(p)} for p in self.log],
                "witnesses": list(self.witnesses),
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> KeyList:
        """The inverse. Raises VerificationError("keys", ...)."""
        if len(data) > MAX_LIST:
            raise VerificationError("keys", "A list of keys is never this long.")
        value = fields(from_json(data, "keys"), _LIST, "keys")
        origin = text(value["origin"], "keys")
        try:
            return cls(
                origin,
                tuple(map(_receipts, items(value["receipts"], "keys"))),
                tuple(_log(item, origin) for item in items(value["log"], "keys")),
                tuple(text(item, "keys") for item in items(value["witnesses"], "keys")),
            )
        except ValueError as error:
            raise VerificationError("keys", "A key or a time in the list is not one.") from error


def _follow(periods: Sequence[Period], key: Ed25519PublicKey, now: int) -> tuple[Period, ...]:
    if not periods:
        return (Period(key, now),)
    last = periods[-1]
    if last.key == key and last.not_after is None:
        return tuple(periods)
    return (*periods[:-1], replace(last, not_after=now), Period(key, now))


def _times(period: Period) -> dict[str, object]:
    after = None if period.not_after is None else _format(period.not_after)
    return {"not_before": _format(period.not_before), "not_after": after}


def _period(key: Ed25519PublicKey, value: dict[str, object]) -> Period:
    after = value["not_after"]
    return Period(key, _parse(value["not_before"]), None if after is None else _parse(after))


def _receipts(value: object) -> Period:
    item = fields(value, _RECEIPTS, "keys")
    key = Ed25519PublicKey.from_public_bytes(from_base64(item["public_key"], "keys"))
    if key_id(key) != item["key_id"]:
        raise ValueError("the key id is another key's")
    return _period(key, item)


def _log(value: object, origin: str) -> Period:
    item = fields(value, _LOG, "keys")
    verifier = Verifier.parse(text(item["vkey"], "keys"))
    if verifier.name != origin:
        raise ValueError("the key is another log's")
    return _period(verifier.key, item)


def _format(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime(_TIME)


def _parse(value: object) -> int:
    return round(datetime.strptime(text(value, "keys"), _TIME).replace(tzinfo=UTC).timestamp())
