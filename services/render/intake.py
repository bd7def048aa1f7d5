"""Takes in the scrubbed frames: nothing is decoded before ingest's attestation has been checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from mesh.attestation import AttestationVerifier, Statement
from mesh.errors import Invalid


@dataclass(slots=True)
class Intake:
    """The photo as it arrives. ``max_bytes`` bounds it."""

    photo_id: str
    max_bytes: int
    chunks: list[bytes] = field(default_factory=list)
    byte_count: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, chunk: bytes) -> None:
        """Invalid(PHOTO_TOO_LARGE) over the limit."""
        self.byte_count += len(chunk)
        if self.byte_count > self.max_bytes:
            raise Invalid(
                "PHOTO_TOO_LARGE", "The photo is too large; send a smaller one.", field="photo", limit=self.max_bytes
            )
        self._digest.update(chunk)
        self.chunks.append(chunk)

    def check(
        self, verifier: AttestationVerifier, *, byte_count: int, header: bytes, signature: bytes, certificate: bytes
    ) -> None:
        """Denied(ATTESTATION_INVALID) unless these very bytes came from ingest; Invalid if some are missing."""
        if byte_count != self.byte_count:
            raise Invalid("BYTE_COUNT_MISMATCH", "The seal counts other bytes than came.", field="seal.byte_count")
        statement = Statement(self.photo_id, self.byte_count, self._digest.digest(), header)
        verifier.verify(statement, signature, certificate)
