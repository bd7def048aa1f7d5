"""The nonce that makes a receipt claimable by its owner, and unlinkable by anybody else."""

from __future__ import annotations

import hashlib
import secrets

_DOMAIN = b"mayfly.receipt.nonce.v1\0"
NONCE_BYTES = 32


def new_nonce() -> bytes:
    """A fresh one for each photo: two receipts with one commitment would be linked."""
    return secrets.token_bytes(NONCE_BYTES)


def commitment(nonce: bytes) -> bytes:
    """What is sent: it goes into the receipt, and says nothing without the nonce."""
    return hashlib.sha256(_DOMAIN + nonce).digest()
