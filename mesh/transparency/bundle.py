"""An envelope in a file of its own, with the proof that a log holds it: all that an offline verifier reads.

Canonical JSON: ``envelope`` (DSSE) alone while the log is still behind; otherwise also ``index`` (of the leaf),
``inclusion_proof`` (base64 hashes, leaf upwards) and ``checkpoint`` (the signed note's text), which come together.
"""

from __future__ import annotations

from dataclasses import dataclass

from mesh.transparency.canonical import fields, from_base64, from_json, items, text, to_base64, to_json
from mesh.transparency.dsse import Envelope
from mesh.transparency.errors import VerificationError

MAX_BUNDLE = 1 << 20  # bytes
_BARE = frozenset({"envelope"})
_LOGGED = frozenset({"envelope", "index", "inclusion_proof", "checkpoint"})


@dataclass(frozen=True, slots=True)
class LogProof:
    """index: of the leaf. inclusion_proof: 32-byte hashes, leaf upwards. checkpoint: a signed note."""

    index: int
    inclusion_proof: tuple[bytes, ...]
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    envelope: Envelope
    log: LogProof | None = None

    def to_json(self) -> bytes:
        """The bundle's one spelling."""
        if self.log is None:
            return b'{"envelope":%b}' % self.envelope.to_json()
        return to_json(
            {
                "envelope": self.envelope.to_value(),
                "index": self.log.index,
                "inclusion_proof": [to_base64(item) for item in self.log.inclusion_proof],
                "checkpoint": self.log.checkpoint.decode(),
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> Bundle:
        """The inverse of ``to_json``. Raises VerificationError("format" or "envelope", ...) for anything else."""
        if len(data) > MAX_BUNDLE:
            raise VerificationError("format", "A receipt is never this long.")
        value = from_json(data, "format")
        if isinstance(value, dict) and value.keys() == _BARE:
            return cls(Envelope.from_value(value["envelope"]))
        logged = fields(value, _LOGGED, "format")
        return cls(Envelope.from_value(logged["envelope"]), _parse_log(logged))


def _parse_log(value: dict[str, object]) -> LogProof:
    index = value["index"]
    if not isinstance(index, int) or isinstance(index, bool):
        raise VerificationError("format", "The index is not a number.")
    proof = tuple(from_base64(item, "format") for item in items(value["inclusion_proof"], "format"))
    return LogProof(index, proof, text(value["checkpoint"], "format").encode())
