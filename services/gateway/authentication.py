"""Whose photo it is: a token of the sign-in service, and from it a digest. The name goes no further than this file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from mesh.errors import ConfigError, Unauthenticated

_HEADER = "authorization"
_SCHEME = "bearer "
_LEEWAY_SECONDS = 30
_CLASS = "mayfly_class"
CLASSES = ("standard", "priority")


@dataclass(frozen=True, slots=True)
class Caller:
    """owner: SHA-256 of issuer and subject, 32 bytes. service_class: of CLASSES, the share of busy engines."""

    owner: bytes
    service_class: str = CLASSES[0]


class Authenticator:
    """Verifies EdDSA (Ed25519) JWTs (RFC 7519, RFC 8037) of one issuer for one audience."""

    def __init__(self, key_file: Path, *, issuer: str, audience: str) -> None:
        try:
            key = load_pem_public_key(key_file.read_bytes())
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigError("MAYFLY_GATEWAY_TOKEN_KEY: must be an Ed25519 public key, PEM")
        self._key = key
        self._issuer = issuer
        self._audience = audience

    def owner(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> bytes:
        """Of ``caller``."""
        return self.caller(metadata).owner

    def caller(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> Caller:
        """Unauthenticated if the call carries no valid token."""
        token = next((value for key, value in metadata or () if key == _HEADER), None)
        if not isinstance(token, str) or not token.lower().startswith(_SCHEME):
            raise Unauthenticated("TOKEN_MISSING", "Sign in, and send `authorization: Bearer <token>`.")
        try:
            claims = jwt.decode(
                token[len(_SCHEME) :],
                self._key,
                algorithms=["EdDSA"],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("TOKEN_EXPIRED", "The token has expired; sign in again.") from None
        except jwt.PyJWTError:
            raise Unauthenticated("TOKEN_INVALID", "The token is not valid here; sign in again.") from None
        if not claims["sub"]:
            raise Unauthenticated("TOKEN_INVALID", "The token names nobody; sign in again.")
        service_class = claims.get(_CLASS, CLASSES[0])
        if not isinstance(service_class, str) or service_class not in CLASSES:
            raise Unauthenticated("TOKEN_INVALID", f"The token's {_CLASS} is none of {', '.join(CLASSES)}.")
        return Caller(hashlib.sha256(f"{self._issuer}\0{claims['sub']}".encode()).digest(), service_class)
