"""The resume token: 32 random bytes that only the client keeps, and what is derived from them.

Purge sees only ``claim_verifier`` (at the grant) and ``claim_secret`` (at the claim); neither opens anything.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mesh.errors import no_such_photo

_BYTES = 32


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """Never logged, never stored; it dies with the journey."""

    secret: bytes

    def __repr__(self) -> str:
        return "ResumeToken(…)"

    @classmethod
    def new(cls) -> ResumeToken:
        return cls(secrets.token_bytes(_BYTES))

    @classmethod
    def parse(cls, text: str) -> ResumeToken:
        """NotFound if it isn't one: a wrong token and a photo that never existed look the same."""
        try:
            secret = base64.b64decode(text + "=", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        token = cls(secret)
        if len(secret) != _BYTES or token.text() != text:  # one spelling only: base64 has several
            raise no_such_photo()
        return token

    def text(self) -> str:
        """base64url without padding, 43 characters."""
        return base64.urlsafe_b64encode(self.secret).decode().rstrip("=")

    def parking_key(self, photo_id: str) -> bytes:
        """AES-256 key of the parked picture."""
        return self._derive(b"mayfly.parked.key.v1", salt=photo_id.encode())

    def claim_secret(self) -> bytes:
        """Shown to purge to claim the parked picture. Not bound to the photo's id: it is needed before there is one."""
        return self._derive(b"mayfly.parked.claim.v1", salt=None)

    def _derive(self, purpose: bytes, *, salt: bytes | None) -> bytes:
        # RFC 5869.
        return HKDF(SHA256(), _BYTES, salt=salt, info=purpose).derive(self.secret)


def claim_verifier(claim_secret: bytes) -> bytes:
    """What purge keeps to recognise the claim secret by."""
    return hashlib.sha256(claim_secret).digest()
