"""Which mesh a command speaks to, and as whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clients.cli.exits import UsageFailed
from clients.local.state import StateFolder

if TYPE_CHECKING:
    from clients.sdk.client import MayflyClient


@dataclass(frozen=True, slots=True)
class Profile:
    """ca: None for the system's. token: a fresh one at each call."""

    address: str
    ca: Path | None
    token: Callable[[], str]

    def connect(self) -> MayflyClient:
        from clients.sdk.client import MayflyClient  # noqa: PLC0415 - gRPC takes a while to import

        return MayflyClient(self.address, self.ca, self.token)


def resolve(address: str | None, ca: Path | None, token_file: Path | None, state: Path) -> Profile:
    """What was asked for, else the mesh of the state folder. UsageFailed when neither is complete."""
    if address:
        if token_file is None:
            raise UsageFailed("--address needs --token-file (or MAYFLY_TOKEN_FILE) with the user's token.")
        return Profile(address, _existing(ca, "--ca"), _from_file(token_file))
    folder = StateFolder(state)
    record = folder.read()
    if record is None or "gateway" not in record.processes:
        raise UsageFailed(f"No mesh is up in {state}; start one with `mayfly up`, or say where it is with --address.")
    token = _from_file(token_file) if token_file is not None else _minted(folder)
    return Profile(record.processes["gateway"].address, ca or folder.pki / "ca.pem", token)


def _existing(path: Path | None, option: str) -> Path | None:
    if path is not None and not path.is_file():
        raise UsageFailed(f"{option} {path}: no such file.")
    return path


def _from_file(path: Path) -> Callable[[], str]:
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise UsageFailed(f"The token file {path} can't be read.") from None
    if not token or len(token.split()) != 1:
        raise UsageFailed(f"The token file {path} must hold one token and nothing else.")
    return lambda: token


def _minted(folder: StateFolder) -> Callable[[], str]:
    from clients.local.sign_in import SignIn  # noqa: PLC0415 - needs the local mesh's packages

    return SignIn(folder.pki).token
