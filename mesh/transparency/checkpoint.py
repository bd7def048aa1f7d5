"""Checkpoints (https://c2sp.org/tlog-checkpoint): the signed head of a log.

Note text: origin, tree size in decimal, root hash in base64, then optional extension lines; each ends in a newline.
"""

from __future__ import annotations

from dataclasses import dataclass

from mesh.transparency.canonical import from_base64, to_base64
from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import HASH_SIZE, MAX_SIZE
from mesh.transparency.note import ED25519, Signer, Verifier, open_note


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """origin: the log's identity. size: leaves. root: 32 bytes. extensions: opaque lines, not empty, best unused."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        lines = [self.origin, str(self.size), to_base64(self.root), *self.extensions]
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Strictly the inverse of ``text``. Raises VerificationError("checkpoint", ...)."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() != "" or "" in lines:
            raise VerificationError("checkpoint", "A checkpoint has at least three lines and no empty ones.")
        origin, size, root, *extensions = lines
        if not (size.isascii() and size.isdecimal()) or len(size) > 19 or str(int(size)) != size:
            raise VerificationError("checkpoint", "The tree size is not a plain decimal number.")
        digest = from_base64(root, "checkpoint")
        if len(digest) != HASH_SIZE or int(size) >= MAX_SIZE:
            raise VerificationError("checkpoint", "The root hash or the tree size is out of bounds.")
        return cls(origin, int(size), digest, tuple(extensions))


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The checkpoint as a signed note. The same checkpoint and key always give the same bytes (RFC 8032)."""
    return signer.sign(checkpoint.text())


def open_checkpoint(data: bytes, *verifiers: Verifier) -> Checkpoint:
    """The checkpoint in a note that one of these keys has signed, by the name that is its origin.

    Raises VerificationError("note" or "checkpoint", ...).
    """
    note = open_note(data, verifiers)
    checkpoint = Checkpoint.parse(note.text)
    if all(checkpoint.origin != key.name for key in note.verified if key.kind == ED25519):
        raise VerificationError("checkpoint", "The checkpoint's origin is not the log that the key belongs to.")
    return checkpoint
