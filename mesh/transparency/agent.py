"""A client of the SSH agent protocol (draft-ietf-sshm-ssh-agent), for Ed25519 keys that never enter this process.

The agent signs arbitrary bytes with a plain Ed25519 signature. OpenSSH's ssh-agent does, and so do agents in front of
a TPM or a hardware module. FIDO keys ("sk-ssh-…") sign something else, and are not for this.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.errors import Unavailable

# Section 6.1 of the draft.
_FAILURE = 5
_REQUEST_IDENTITIES = 11
_IDENTITIES_ANSWER = 12
_SIGN_REQUEST = 13
_SIGN_RESPONSE = 14
_ED25519 = b"ssh-ed25519"
_MAX_MESSAGE = 256 * 1024  # bytes; what OpenSSH's agent bounds messages by
SECONDS = 5.0  # that one answer may take; a TPM takes a tenth of one


class SshAgent:
    """One agent behind a unix socket. Connects when it is needed, and again after the agent was restarted.

    Thread-safe; one request at a time. Every method blocks, and raises Unavailable("SIGNER_AWAY", ...).
    """

    def __init__(self, path: Path, seconds: float = SECONDS) -> None:
        self._path = path
        self._seconds = seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def keys(self) -> list[Ed25519PublicKey]:
        """The Ed25519 keys that the agent holds now."""
        kind, body = self._ask(bytes([_REQUEST_IDENTITIES]))
        if kind != _IDENTITIES_ANSWER:
            raise _away("The key agent does not list its keys.")
        try:
            return _identities(body)
        except ValueError as error:
            raise _away("The key agent's answer is malformed.") from error

    def sign(self, key: Ed25519PublicKey, data: bytes) -> bytes:
        """64 bytes; they were checked against the key."""
        blob = _string(_ED25519) + _string(key.public_bytes_raw())
        kind, body = self._ask(bytes([_SIGN_REQUEST]) + _string(blob) + _string(data) + bytes(4))
        if kind != _SIGN_RESPONSE:
            raise _away("The key agent refuses to sign: the key is not in it, or it is locked.")
        try:
            signature = _signature(body)
            key.verify(signature, data)
        except (ValueError, InvalidSignature) as error:
            raise _away("The key agent's signature is not one of this key.") from error
        return signature

    def close(self) -> None:
        with self._lock:
            self._hang_up()

    def _ask(self, message: bytes) -> tuple[int, bytes]:
        with self._lock:
            fresh = self._socket is None
            try:
                return self._exchange(message)
            except OSError as error:
                self._hang_up()
                if fresh:
                    raise _away("The key agent does not answer; start it.") from error
            try:  # it has been restarted since the last request
                return self._exchange(message)
            except OSError as error:
                self._hang_up()
                raise _away("The key agent does not answer; start it.") from error

    def _exchange(self, message: bytes) -> tuple[int, bytes]:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(self._seconds)
            self._socket.connect(str(self._path))
        self._socket.sendall(_string(message))
        length = int.from_bytes(self._receive(4), "big")
        if not 1 <= length <= _MAX_MESSAGE:
            raise OSError("the agent's message is too long")
        answer = self._receive(length)
        return answer[0], answer[1:]

    def _receive(self, length: int) -> bytes:
        assert self._socket is not None
        data = b""
        while len(data) < length:
            piece = self._socket.recv(length - len(data))
            if not piece:
                raise OSError("the agent has hung up")
            data += piece
        return data

    def _hang_up(self) -> None:
        """Also after a time-out: an answer that comes late must not be taken for the next one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class AgentKey:
    """A ``SigningKey`` that an agent keeps."""

    def __init__(self, agent: SshAgent, public_key: Ed25519PublicKey) -> None:
        self._agent = agent
        self._public_key = public_key

    def sign(self, data: bytes, /) -> bytes:
        return self._agent.sign(self._public_key, data)

    def public_key(self) -> Ed25519PublicKey:
        return self._public_key


def _identities(body: bytes) -> list[Ed25519PublicKey]:
    """Section 3.5: a count, then for each key its blob and a comment."""
    keys, rest = [], body[4:]
    for _ in range(int.from_bytes(body[:4], "big")):
        blob, rest = _read(rest)
        _, rest = _read(rest)
        kind, material = _read(blob)
        if kind == _ED25519:
            keys.append(Ed25519PublicKey.from_public_bytes(_read(material)[0]))
    return keys


def _signature(body: bytes) -> bytes:
    """Section 3.6.2, and RFC 8709, section 6: the algorithm's name, then 64 bytes."""
    blob, _ = _read(body)
    kind, rest = _read(blob)
    signature, _ = _read(rest)
    if kind != _ED25519 or len(signature) != 64:
        raise ValueError("not an Ed25519 signature")
    return signature


def _string(data: bytes) -> bytes:
    """RFC 4251, section 5."""
    return len(data).to_bytes(4, "big") + data


def _read(data: bytes) -> tuple[bytes, bytes]:
    """The first string, and what follows it. Raises ValueError."""
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < 4 or end > len(data):
        raise ValueError("a string is cut off")
    return data[4:end], data[end:]


def _away(sentence: str) -> Unavailable:
    return Unavailable("SIGNER_AWAY", sentence, retry_after=1)
