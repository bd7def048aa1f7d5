"""Signed notes (https://c2sp.org/signed-note) with Ed25519 signatures, and witnesses' Ed25519 cosignatures on them.

A note is text, a blank line, and signature lines ``— <key name> base64(key id || signature)``. A cosignature
(https://c2sp.org/tlog-cosignature) is a signature with a time in front of it, by a key of another kind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.transparency.canonical import from_base64, to_base64
from mesh.transparency.errors import VerificationError
from mesh.transparency.keys import SigningKey

ED25519 = b"\x01"
COSIGNATURE = b"\x04"  # cosignature/v1; the ML-DSA-44 kind, 0x06, is not known here and is ignored like any unknown key
MAX_NOTE = 256 * 1024  # bytes; the spec asks for at least 16 signatures of up to 5 kB
MAX_SIGNATURES = 32
_DASH = "— "


@dataclass(frozen=True, slots=True)
class Verifier:
    """A named public key. ``name`` is not empty and has neither spaces nor a plus sign. kind: ED25519, COSIGNATURE."""

    name: str
    key: Ed25519PublicKey
    kind: bytes = ED25519

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise ValueError("a note key's name must not be empty or contain spaces, control characters or '+'")

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || kind || public key)[:4]."""
        return _key_id(self.name, self.kind + self.key.public_bytes_raw())

    @property
    def vkey(self) -> str:
        """The verifier key string ``name+hash+base64(kind || public key)``."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(self.kind + self.key.public_bytes_raw())}"

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """The inverse of ``vkey``. Raises VerificationError("key", ...)."""
        name, _, rest = vkey.partition("+")
        digest, _, encoded = rest.partition("+")
        material = from_base64(encoded, "key")
        if not _is_name(name) or len(material) != 33 or material[:1] not in (ED25519, COSIGNATURE):
            raise VerificationError("key", "This is not an Ed25519 verifier key (name+hash+base64).")
        if _key_id(name, material).hex() != digest:
            raise VerificationError("key", "The verifier key's hash does not belong to its name and key.")
        return cls(name, Ed25519PublicKey.from_public_bytes(material[1:]), material[:1])


@dataclass(frozen=True, slots=True)
class Signer:
    """A named private key."""

    name: str
    key: SigningKey

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.name, self.key.public_key())

    def sign(self, text: str) -> bytes:
        """``text`` as a note with this one signature. Raises ValueError for text that a note can't hold."""
        if not text.endswith("\n") or not _is_clean(text):
            raise ValueError("a note's text ends in a newline and has no other control characters")
        return f"{text}\n".encode() + signature_line(self.verifier, self.key.sign(text.encode()))


@dataclass(frozen=True, slots=True)
class Note:
    """text: with its last newline. verified: the keys that signed it. unknown: names of signatures nobody checked."""

    text: str
    verified: tuple[Verifier, ...]
    unknown: tuple[str, ...]


def signature_line(verifier: Verifier, signature: bytes) -> bytes:
    """What stands below a note for one signature."""
    return f"{_DASH}{verifier.name} {to_base64(verifier.key_id + signature)}\n".encode()


def cosigned_message(text: str, seconds: int) -> bytes:
    """What a witness signs at this time, Unix seconds; before its signature stand the seconds in eight bytes."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def is_signed_by(data: bytes, verifier: Verifier) -> bool:
    """Whether there is a signature line of this key. It is not checked. Raises VerificationError("note", ...)."""
    return any(_parse_signature(line)[:2] == (verifier.name, verifier.key_id) for line in _split(data)[1])


def only_signed_by(data: bytes, verifiers: Sequence[Verifier]) -> bytes:
    """The note without the signature lines of other keys. Raises VerificationError("note", ...)."""
    known = {(verifier.name, verifier.key_id) for verifier in verifiers}
    text, lines = _split(data)
    kept = [line for line in lines if _parse_signature(line)[:2] in known]
    return (text + "\n" + "".join(f"{line}\n" for line in kept)).encode()


def open_note(data: bytes, verifiers: Sequence[Verifier]) -> Note:
    """Parse and verify. Signatures by keys that aren't in ``verifiers`` are ignored, as the specification asks.

    Raises VerificationError("note", ...): malformed, no signature by a known key, or a known key's signature is wrong.
    """
    text, lines = _split(data)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    verified, unknown, seen = [], [], set()
    for line in lines:
        name, key_id, signature = _parse_signature(line)
        if (name, key_id) in seen:
            raise VerificationError("note", "One key has signed twice.")
        seen.add((name, key_id))
        verifier = known.get((name, key_id))
        if verifier is None:
            unknown.append(name)
            continue
        _check(verifier, signature, text)
        verified.append(verifier)
    if not verified:
        raise VerificationError("note", "No trusted key has signed this.")
    return Note(text, tuple(verified), tuple(unknown))


def cosigners(data: bytes, witnesses: Sequence[Verifier]) -> list[tuple[str, int]]:
    """Name and time (Unix seconds) of each of ``witnesses`` that has cosigned the note.

    Raises VerificationError("note", ...): malformed, or one of their cosignatures is wrong.
    """
    text, lines = _split(data)
    known = {(verifier.name, verifier.key_id): verifier for verifier in witnesses if verifier.kind == COSIGNATURE}
    found = []
    for line in lines:
        name, key_id, signature = _parse_signature(line)
        if (verifier := known.get((name, key_id))) is not None:
            _check(verifier, signature, text)
            found.append((name, int.from_bytes(signature[:8], "big")))
    return found


def _split(data: bytes) -> tuple[str, list[str]]:
    if len(data) > MAX_NOTE:
        raise VerificationError("note", "The note is too long.")
    try:
        content = data.decode()
    except UnicodeDecodeError as error:
        raise VerificationError("note", "The note is not UTF-8.") from error
    head, blank, signatures = content.rpartition("\n\n")
    if not blank or not signatures.endswith("\n") or not _is_clean(content):
        raise VerificationError("note", "The note is not text, a blank line and signatures.")
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise VerificationError("note", "The note has too many signatures.")
    return head + "\n", lines


def _parse_signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _is_name(name):
        raise VerificationError("note", "A signature line is malformed.")
    blob = from_base64(encoded, "note")
    if len(blob) <= 4:
        raise VerificationError("note", "A signature is too short.")
    return name, blob[:4], blob[4:]


def _check(verifier: Verifier, signature: bytes, text: str) -> None:
    message = text.encode()
    if verifier.kind == COSIGNATURE:
        seconds, signature = int.from_bytes(signature[:8], "big"), signature[8:]
        if seconds >= 1 << 63:
            raise VerificationError("note", "A cosignature is of a time that can't be.")
        message = cosigned_message(text, seconds)
    try:
        verifier.key.verify(signature, message)
    except InvalidSignature as error:
        raise VerificationError("note", "The signature does not belong to the text.") from error


def _key_id(name: str, material: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]


def _is_name(name: str) -> bool:
    return bool(name) and _is_clean(name) and not any(c.isspace() or c == "+" for c in name)


def _is_clean(content: str) -> bool:
    return all(c >= " " or c == "\n" for c in content)
