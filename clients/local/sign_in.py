"""A stand-in for an app's sign-in service: an Ed25519 key that signs short-lived tokens (JWT, RFC 7519, RFC 8037)."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from clients.local.state import write_private
from mesh.errors import ConfigError

ISSUER = "https://mayfly.local/dev"
AUDIENCE = "mayfly"
DEFAULT_SUBJECT = "local-user"
MAX_SECONDS = 3600


class SignIn:
    """issuer.key and issuer.pem (the public key, which the gateway is given) in one folder."""

    def __init__(self, folder: Path) -> None:
        self._key = folder / "issuer.key"
        self.public_key = folder / "issuer.pem"

    def ensure(self) -> None:
        """Makes the key pair unless it is there."""
        if self._key.exists() and self.public_key.exists():
            return
        key = Ed25519PrivateKey.generate()
        write_private(self._key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        write_private(self.public_key, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def token(self, subject: str = DEFAULT_SUBJECT, seconds: int = MAX_SECONDS, service_class: str = "standard") -> str:
        """A token for ``subject``, good for at most an hour. ConfigError when there is no key, or it asks for more.

        service_class: "standard" or "priority", the share of busy engines.
        """
        if not 0 < seconds <= MAX_SECONDS:
            raise ConfigError(f"A token lasts 1 to {MAX_SECONDS} seconds.")
        try:
            key = self._key.read_text()
        except OSError:
            raise ConfigError(f"There is no sign-in key at {self._key}; run `mayfly up` first.") from None
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "exp": now + seconds,
            "mayfly_class": service_class,
        }
        return jwt.encode(claims, key, algorithm="EdDSA")
