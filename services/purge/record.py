"""A lease as the registry keeps it: the hash's fields, read back."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from services.purge.lease import Custody, End, Holding, Lease, Outcome, State


@dataclass(frozen=True, slots=True)
class Grant:
    """What is fixed when a lease is granted.

    granted, expire:   Unix seconds.
    owner:             the day's pseudonym, 32 hex digits.
    verifier:          SHA-256 of the claim secret, hex.
    nonce_commitment:  hex, or empty.
    """

    photo_id: str
    granted: float
    expire: float
    owner: str
    verifier: str
    nonce_commitment: str
    policy_version: str


@dataclass(frozen=True, slots=True)
class Record:
    """One lease in the registry.

    home:            the replica of purge that ends it.
    segments, size:  what is parked, in number and bytes.
    adopted:         ``home`` isn't the replica that granted it.
    """

    grant: Grant
    lease: Lease
    home: str = ""
    segments: int = 0
    size: int = 0
    adopted: bool = False


def parse(photo_id: str, fields: dict[bytes, bytes]) -> Record | None:
    """The record, or None if there is none. Raises ValueError, KeyError for a hash that purge did not write."""
    if not fields:
        return None
    text = {key.decode(): value.decode() for key, value in fields.items()}
    grant = Grant(
        photo_id=photo_id,
        granted=int(text["granted"]) / 1000,
        expire=int(text["expire"]) / 1000,
        owner=text["owner"],
        verifier=text["verifier"],
        nonce_commitment=text["nonce"],
        policy_version=text["policy"],
    )
    lease = Lease(
        state=State(text["state"]),
        custody=MappingProxyType({key[2:]: _custody(value) for key, value in text.items() if key.startswith("c:")}),
        expected=frozenset(key[2:] for key in text if key.startswith("x:")),
        end=End(Outcome(text["outcome"]), text["reason"], int(text["ended"]) / 1000) if "outcome" in text else None,
        claimant=text.get("claimant", ""),
        repeated="repeated" in text,
    )
    return Record(
        grant, lease, text.get("home", ""), int(text.get("segments", 0)), int(text.get("size", 0)), "term" in text
    )


def _custody(value: str) -> Custody:
    holding, ordinal, micros = value.split(":")
    return Custody(Holding(holding), int(micros), int(ordinal))
