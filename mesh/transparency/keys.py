"""What signs: a private key in memory, or one that an agent keeps."""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class SigningKey(Protocol):
    """Ed25519. ``Ed25519PrivateKey`` is one; ``mesh.transparency.agent.AgentKey`` another."""

    def sign(self, data: bytes, /) -> bytes:
        """64 bytes. Raises Unavailable when whoever keeps the key can't be asked."""

    def public_key(self) -> Ed25519PublicKey: ...
