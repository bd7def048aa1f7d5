"""The key that signs audit statements, and its public half for whoever reads them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.purge.signing import load_private, public_pem

FILE = "audit.key.pem"
PATH = "/keys/"
NAME = "audit.pub.pem"


def load(directory: Path) -> Ed25519PrivateKey:
    """Made if it is missing, and its public half beside it where the folder lets us. ConfigError in one line."""
    key = load_private(directory / FILE, create=True)
    with contextlib.suppress(OSError):
        (directory / NAME).write_bytes(public_pem(key.public_key()))
        (directory / NAME).chmod(0o600)  # like everything in this folder; others get it from the ops port
    return key


class PublicKey:
    """A WSGI application: the public key in PEM, at ``/keys/audit.pub.pem``."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._pem = public_pem(key)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH + NAME:
            start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"not found\n"]
        start("200 OK", [("Content-Type", "application/x-pem-file")])
        return [self._pem]
