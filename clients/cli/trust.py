"""Which public keys a check trusts: those that were given, or those of the state folder's mesh."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.exits import UsageFailed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from mesh.transparency.key_list import KeyList, Period

KEY_HELP = "Public key that signs receipts (PEM), or a mesh's list of keys (keys.json); may be repeated."
LOG_KEY_HELP = "A log's verifier key, or a file with some; may be repeated. Default: the list's, the state folder's."
WITNESS_HELP = "A witness's verifier key, or a file with some; may be repeated."

Key = Annotated[list[Path] | None, typer.Option(help=KEY_HELP, metavar="FILE")]
LogKey = Annotated[list[str] | None, typer.Option(help=LOG_KEY_HELP, metavar="VKEY|FILE")]
Witness = Annotated[list[str] | None, typer.Option(help=WITNESS_HELP, metavar="VKEY|FILE")]
Quorum = Annotated[
    int | None,
    typer.Option(min=0, help="So many of the witnesses must have cosigned. Default: 1 where one is given, else 0."),
]


@dataclass
class Keys:
    """receipts: keys that may sign receipts; validity: when. logs, witnesses: vkeys.

    asked, quorum: the witnesses of whom so many must have cosigned.
    """

    receipts: list[Ed25519PublicKey] = field(default_factory=list)
    validity: list[Period] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    witnesses: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    quorum: int = 0

    def add(self, keys: KeyList) -> None:
        self.receipts += [period.key for period in keys.receipts]
        self.validity += keys.receipts
        self.logs += [verifier.vkey for verifier in keys.verifiers]
        self.witnesses += keys.witnesses


def resolve(
    key: list[Path] | None,
    log_key: list[str] | None,
    witness: list[str] | None,
    quorum: int | None,
    state: Path,
) -> Keys:
    """Raises UsageFailed, ConfigError, VerificationError("keys" or "key", ...)."""
    keys = Keys()
    for path in key or ():
        _add_file(keys, path)
    if not key:
        # A key that was given by hand says that it is another mesh's: ours would only confuse.
        _add_local(keys, state)
    given = _vkeys(log_key)
    keys.logs = given or keys.logs
    keys.asked = _vkeys(witness)
    keys.quorum = quorum if quorum is not None else min(1, len(keys.asked))
    if keys.quorum > len(keys.asked):
        raise UsageFailed(f"--witness-quorum {keys.quorum} needs as many --witness keys.")
    keys.witnesses = list(dict.fromkeys([*keys.asked, *keys.witnesses]))
    return keys


def read(path: Path) -> bytes:
    if not path.is_file():
        raise UsageFailed(f"{path}: no such file.")
    return path.read_bytes()


def _add_file(keys: Keys, path: Path) -> None:
    from mesh.transparency.key_list import KeyList  # noqa: PLC0415 - imports cryptography
    from services.purge.signing import load_public  # noqa: PLC0415

    data = read(path)
    if data.lstrip().startswith(b"{"):
        keys.add(KeyList.from_json(data.strip()))
    else:
        keys.receipts.append(load_public(data))


def _add_local(keys: Keys, state: Path) -> None:
    from clients.local.public_keys import PublicKeys  # noqa: PLC0415

    replicas = PublicKeys.of_all(state)
    if not replicas:
        raise UsageFailed(f"There is no mesh in {state} whose key could be used; give --key FILE.")
    for local in replicas:
        if local.list is not None:
            keys.add(local.list)
        else:
            keys.receipts.append(local.receipts)
            keys.logs.append(local.log_vkey)


def _vkeys(given: list[str] | None) -> list[str]:
    """Each is a vkey, or a file with one on each line."""
    found = []
    for item in given or ():
        path = Path(item)
        lines = path.read_text().splitlines() if path.is_file() else [item]
        found += [line.strip() for line in lines if line.strip()]
    return found


def audit_keys(files: list[Path] | None, state: Path) -> list[Ed25519PublicKey] | None:
    """Keys that sign audit statements: those that were given, or that of the state folder's auditor; None: nobody's.

    Raises UsageFailed, ConfigError.
    """
    from clients.local.auditing import public_key  # noqa: PLC0415 - imports the local mesh
    from services.purge.signing import load_public  # noqa: PLC0415

    if files:
        try:
            return [load_public(path.read_bytes()) for path in files]
        except OSError as error:
            raise UsageFailed(f"{error.filename}: {error.strerror}.") from None
    own = public_key(state)
    return [own] if own is not None else None
