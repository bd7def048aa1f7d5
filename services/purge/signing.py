"""Purge's two keys: one signs receipts, the other the log's checkpoints.

Each is either a private key in a PEM file (PKCS #8, mode 0600), or a public key in OpenSSH's format whose private half
an agent keeps. Two, so that whoever obtains one can neither log what was never signed nor sign what is then logged.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_public_key,
)

from mesh.errors import ConfigError
from mesh.transparency.agent import AgentKey, SshAgent
from mesh.transparency.dsse import key_id
from mesh.transparency.keys import SigningKey
from mesh.transparency.note import Signer

RECEIPTS_FILE = "receipts.key.pem"
LOG_FILE = "log.key.pem"
RECEIPTS_AGENT_FILE = "receipts.key.pub"
LOG_AGENT_FILE = "log.key.pub"


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """receipts: signs DSSE envelopes. log: signs checkpoints, named like the log's origin."""

    receipts: SigningKey
    log: Signer

    @property
    def receipts_key_id(self) -> str:
        """32 hex digits, as in the envelopes."""
        return key_id(self.receipts.public_key())

    @property
    def receipts_public_pem(self) -> bytes:
        """For whoever verifies receipts."""
        return public_pem(self.receipts.public_key())

    @property
    def log_vkey(self) -> str:
        """For whoever verifies checkpoints: the C2SP verifier key string."""
        return self.log.verifier.vkey


def load_keys(directory: Path, *, origin: str, create: bool = False, agent: Path | None = None) -> SigningKeys:
    """Both keys from ``directory``; ``create`` makes those that are missing. Raises ConfigError in one line.

    agent:  the socket of the agent that keeps the private halves of ``*.key.pub``. It is not asked for anything here.
    """
    asked = None if agent is None else SshAgent(agent)
    receipts = _load(directory / RECEIPTS_FILE, directory / RECEIPTS_AGENT_FILE, asked, create=create)
    log = _load(directory / LOG_FILE, directory / LOG_AGENT_FILE, asked, create=create)
    if receipts.public_key() == log.public_key():
        raise ConfigError(f"Receipts and log in {directory} share one key; give each its own.")
    signer = Signer(origin, log)
    try:
        _ = signer.verifier
    except ValueError as error:
        raise ConfigError(f"The log's origin can't name a key: {error}.") from error
    return SigningKeys(receipts, signer)


def _load(private: Path, public: Path, agent: SshAgent | None, *, create: bool) -> SigningKey:
    if not public.exists():
        return load_private(private, create=create)
    if private.exists():
        raise ConfigError(f"{private} and {public.name} beside it: one of them is too many; remove it.")
    if agent is None:
        raise ConfigError(f"The key of {public} is kept by an agent; say where it is: MAYFLY_PURGE_KEY_AGENT.")
    try:
        key = load_ssh_public_key(public.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{public} is not a public key in OpenSSH's format.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"The key in {public} is not an Ed25519 key.")
    return AgentKey(agent, key)


def load_private(path: Path, *, create: bool = False) -> Ed25519PrivateKey:
    """An Ed25519 key that only its owner can read. Raises ConfigError in one line."""
    if create and not path.exists():
        _create_private(path)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read()
    except OSError as error:
        raise ConfigError(f"The private key {path} can't be read: {error.strerror}.") from error
    if mode & 0o077:
        raise ConfigError(f"The private key {path} has mode {mode:04o}; others must not read it: chmod 600.")
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"The private key {path} is not an unencrypted PEM file.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"The private key {path} is not an Ed25519 key.")
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    """SubjectPublicKeyInfo in PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def load_public(data: bytes) -> Ed25519PublicKey:
    """The inverse of ``public_pem``. Raises ConfigError in one line."""
    try:
        key = load_pem_public_key(data)
    except ValueError as error:
        raise ConfigError("This is not a public key in PEM.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError("This public key is not an Ed25519 key.")
    return key


def replace_private(path: Path) -> Ed25519PublicKey:
    """A new key in place of the old one, which is gone then, at once. Raises ConfigError in one line."""
    key = Ed25519PrivateKey.generate()
    with _written(path, key) as temporary:
        temporary.replace(path)
    return key.public_key()


def _create_private(path: Path) -> None:
    """A key that exists is never replaced."""
    # FileExistsError: another process was first, and its key serves as well.
    with _written(path, Ed25519PrivateKey.generate()) as temporary, contextlib.suppress(FileExistsError):
        path.hardlink_to(temporary)


@contextlib.contextmanager
def _written(path: Path, key: Ed25519PrivateKey) -> Iterator[Path]:
    """The key under another name beside ``path``, synced, so that it takes its place whole or not at all."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(fd)
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"The private key {path} can't be created: {error.strerror}.") from error
