"""The key of a report: not one of the mesh's, since whoever reports is somebody else than who is reported on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from clients.local.state import write_private
from mesh.errors import ConfigError
from services.purge.signing import load_private, load_public, public_pem

_FOLDER, _PRIVATE, _PUBLIC = "evidence", "evidence.key.pem", "evidence.pub.pem"


def public_file(state: Path) -> Path:
    """The public half of the state folder's key."""
    return state / _FOLDER / _PUBLIC


def signing(given: Path | None, state: Path) -> Ed25519PrivateKey:
    """The key that was given, else the state folder's, made if it is missing. Raises ConfigError in one line."""
    if given is not None:
        return load_private(given)
    if not state.is_dir():
        raise ConfigError(f"There is no state folder {state} to keep a key for reports in; give one with --key FILE.")
    key = load_private(state / _FOLDER / _PRIVATE, create=True)
    if not public_file(state).is_file():
        write_private(public_file(state), public_pem(key.public_key()))
    return key


def verifying(given: Path | None, state: Path) -> Sequence[Ed25519PublicKey]:
    """Who may have signed a report. Raises ConfigError in one line."""
    path = given or public_file(state)
    try:
        return [load_public(path.read_bytes())]
    except OSError:
        raise ConfigError(f"The report's public key {path} can't be read; give it with --key FILE.") from None
