"""The keys that verify this mesh's receipts. They are kept, so that receipts can be checked when it is down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from clients.local import ops
from clients.local.state import StateFolder, write_private
from mesh.errors import ConfigError
from mesh.transparency.errors import VerificationError
from mesh.transparency.key_list import KeyList
from services.purge.signing import load_public

RECEIPTS = "receipts.pub.pem"
LOG = "log.vkey"
LIST = "keys.json"
_FOLDER = "purge"


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """receipts: signs receipts. log_vkey: C2SP verifier key of the log's checkpoints. list: these, and former ones."""

    receipts: Ed25519PublicKey
    log_vkey: str
    list: KeyList | None = None

    @classmethod
    def of(cls, state: Path) -> PublicKeys | None:
        """What ``keep`` kept of the first replica of purge; None when there never was a mesh."""
        return cls._in(StateFolder(state).pki)

    @classmethod
    def of_all(cls, state: Path) -> Sequence[PublicKeys]:
        """Those of every replica that there ever was."""
        pki = StateFolder(state).pki
        found = [cls._in(folder) for folder in (pki, *sorted(pki.glob(f"{_FOLDER}-*")))]
        return [keys for keys in found if keys is not None]

    @classmethod
    def _in(cls, folder: Path) -> PublicKeys | None:
        try:
            receipts, log_vkey = load_public((folder / RECEIPTS).read_bytes()), (folder / LOG).read_text().strip()
            listed = folder / LIST
            return cls(receipts, log_vkey, KeyList.from_json(listed.read_bytes()) if listed.is_file() else None)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, VerificationError):
            raise ConfigError(f"The public keys in {folder} can't be read.") from None


def keep(state: StateFolder, replica: str, ops_address: str) -> None:
    """Asks a replica of purge that we have just started, on loopback, for its public keys."""
    folder = state.pki if replica == _FOLDER else state.pki / replica
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in (RECEIPTS, LOG, LIST):
        body = ops.get(ops_address, f"/keys/{name}")
        if body is not None:
            write_private(folder / name, body)
