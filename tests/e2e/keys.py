"""The mesh's public keys and its log's directory, read from its state folder as an operator would."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from clients.local.mesh import LocalMesh
from mesh.transparency.dsse import Envelope, keyring
from mesh.transparency.note import Verifier
from services.purge.receipt import Receipt, open_receipt
from services.purge.signing import SigningKeys, load_keys

ORIGIN = "mayfly.local/log"


def _keys(mesh: LocalMesh) -> SigningKeys:
    return load_keys(mesh.state.keys, origin=ORIGIN)


def receipt_keys(mesh: LocalMesh) -> list[Ed25519PublicKey]:
    """Keys that sign receipts."""
    return [_keys(mesh).receipts.public_key()]


def log_vkey(mesh: LocalMesh) -> str:
    """The log's verifier key, as a string."""
    return _keys(mesh).log_vkey


def log_verifier(mesh: LocalMesh) -> Verifier:
    return Verifier.parse(log_vkey(mesh))


def log_directory(mesh: LocalMesh) -> Path:
    """Where the checkpoint and the tiles are."""
    return next(path.parent for path in mesh.state.transparency_log.rglob("checkpoint"))


def open_envelope(envelope: Envelope, keys: list[Ed25519PublicKey]) -> Receipt:
    """The receipt in it; VerificationError if its signature isn't ours."""
    return open_receipt(envelope, keyring(keys))
