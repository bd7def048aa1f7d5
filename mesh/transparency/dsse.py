"""DSSE v1 envelopes (https://github.com/secure-systems-lab/dsse) with one Ed25519 signature.

Where DSSE lets a verifier take either base64 alphabet and any JSON spelling, this one takes a single spelling
(mesh.transparency.canonical), because a receipt must be refused after any change of a byte. What it writes, every
DSSE verifier reads.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.transparency.canonical import fields, from_base64, from_json, items, text, to_base64, to_json
from mesh.transparency.errors import VerificationError
from mesh.transparency.keys import SigningKey

_ENVELOPE = frozenset({"payload", "payloadType", "signatures"})
_SIGNATURE = frozenset({"keyid", "sig"})


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 bytes of SHA-256(raw public key), as 32 lowercase hex digits."""
    return hashlib.sha256(key.public_bytes_raw()).digest()[:16].hex()


def keyring(keys: Iterable[Ed25519PublicKey]) -> dict[str, Ed25519PublicKey]:
    """Public keys by their key id."""
    return {key_id(key): key for key in keys}


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's Pre-Authentication Encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class Envelope:
    """payload: the signed bytes. keyid: as ``key_id`` makes it. signature: 64 bytes."""

    payload_type: str
    payload: bytes
    keyid: str
    signature: bytes

    def to_value(self) -> dict[str, object]:
        """The envelope as a JSON value."""
        signature = {"keyid": self.keyid, "sig": to_base64(self.signature)}
        return {
            "payload": to_base64(self.payload),
            "payloadType": self.payload_type,
            "signatures": [signature],
        }

    def to_json(self) -> bytes:
        """The envelope's one spelling: as ``to_json(self.to_value())``, without looking for an order that is known."""
        return b'{"payload":"%b","payloadType":%b,"signatures":[{"keyid":%b,"sig":"%b"}]}' % (
            b64encode(self.payload),
            _quoted(self.payload_type),
            _quoted(self.keyid),
            b64encode(self.signature),
        )

    @classmethod
    def from_value(cls, value: object) -> Envelope:
        """The inverse of ``to_value``. Raises VerificationError("envelope", ...) for anything else."""
        envelope = fields(value, _ENVELOPE, "envelope")
        signatures = items(envelope["signatures"], "envelope")
        if len(signatures) != 1:
            raise VerificationError("envelope", "An envelope of Mayfly's has one signature.")
        signature = fields(signatures[0], _SIGNATURE, "envelope")
        return cls(
            payload_type=text(envelope["payloadType"], "envelope"),
            payload=from_base64(envelope["payload"], "envelope"),
            keyid=text(signature["keyid"], "envelope"),
            signature=from_base64(signature["sig"], "envelope"),
        )

    @classmethod
    def from_json(cls, data: bytes) -> Envelope:
        """The inverse of ``to_json``. Raises VerificationError("envelope", ...) for anything else."""
        return cls.from_value(from_json(data, "envelope"))


def sign(payload_type: str, payload: bytes, key: SigningKey, keyid: str = "") -> Envelope:
    """keyid: of ``key``, from whoever signs so often that working it out again would tell. Raises as the key does."""
    signature = key.sign(pae(payload_type, payload))
    return Envelope(payload_type, payload, keyid or key_id(key.public_key()), signature)


def verify(envelope: Envelope, keys: Mapping[str, Ed25519PublicKey], payload_type: str) -> bytes:
    """The payload, once a trusted key's signature covers it and its type is ``payload_type``.

    Raises VerificationError("signature", ...).
    """
    key = keys.get(envelope.keyid)
    if key is None:
        raise VerificationError("signature", "No trusted key has this envelope's key id.")
    try:
        key.verify(envelope.signature, pae(envelope.payload_type, envelope.payload))
    except InvalidSignature as error:
        raise VerificationError("signature", "The signature does not belong to the content.") from error
    if envelope.payload_type != payload_type:
        raise VerificationError("signature", f"The content is not of the type {payload_type}.")
    return envelope.payload


@lru_cache(maxsize=64)
def _quoted(text: str) -> bytes:
    return to_json(text)
