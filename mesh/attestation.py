"""One service's signed word about a stream that it produced, checked by the service that consumes it.

The signing key is the service's own mTLS key, so that there is no second set of keys to hand out.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from mesh.clock import Clock
from mesh.errors import Denied
from mesh.identity import Identity, is_issued_by, spiffe_id, spiffe_uris

_CONTEXT = b"mayfly.scrubbed.v1\0"
_ALGORITHM = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class Statement:
    """What is attested: this id, so many bytes with this SHA-256, and a header that says what they are."""

    subject_id: str
    byte_count: int
    digest: bytes
    header: bytes

    def encode(self) -> bytes:
        """As documented at mayfly.photo.v1.Attestation."""
        return b"".join(
            (_CONTEXT, bytes.fromhex(self.subject_id), self.byte_count.to_bytes(8, "big"), self.digest, self.header)
        )


class Attester:
    """Signs with this process's identity."""

    def __init__(self, identity: Identity) -> None:
        self._key = identity.private_key()
        self.certificate = identity.certificate().public_bytes(Encoding.DER)

    def sign(self, statement: Statement) -> bytes:
        """ECDSA P-256 with SHA-256, DER."""
        return self._key.sign(statement.encode(), _ALGORITHM)


class AttestationVerifier:
    """Accepts statements of one service only, with a certificate of our CA that is valid now."""

    def __init__(self, identity: Identity, service: str, clock: Clock) -> None:
        self._authorities = identity.authorities()
        self._spiffe_id = spiffe_id(identity.trust_domain, service)
        self._clock = clock

    def verify(self, statement: Statement, signature: bytes, certificate: bytes) -> None:
        """Returns if all is well; Denied(ATTESTATION_INVALID) otherwise."""
        try:
            signer = x509.load_der_x509_certificate(certificate)
            now = dt.datetime.fromtimestamp(self._clock.wall(), dt.UTC)
            key = signer.public_key()
            if (
                not any(is_issued_by(signer, authority) for authority in self._authorities)
                or self._spiffe_id not in spiffe_uris(signer)
                or not signer.not_valid_before_utc <= now <= signer.not_valid_after_utc
                or not isinstance(key, ec.EllipticCurvePublicKey)
            ):
                raise _invalid()
            key.verify(signature, statement.encode(), _ALGORITHM)
        except Exception:  # whatever a hostile certificate makes its parser raise: it is not that service's word
            raise _invalid() from None


def _invalid() -> Denied:
    return Denied("ATTESTATION_INVALID", "The frames are not attested by the service that must have scrubbed them.")
