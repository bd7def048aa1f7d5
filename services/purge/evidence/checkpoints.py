"""The log's newest checkpoint, as it is published, and who has cosigned it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh.transparency.checkpoint import Checkpoint
from mesh.transparency.errors import VerificationError
from mesh.transparency.note import Verifier, cosigners
from mesh.transparency.tiles import CHECKPOINT_PATH
from services.purge.log import Log


@dataclass(frozen=True, slots=True)
class Head:
    """signed: by purge, Unix seconds; None where that was before its start. cosigned: name and time, Unix seconds, of
    each witness, which its signature covers. note: all of it as text.
    """

    checkpoint: Checkpoint
    signed: float | None
    cosigned: tuple[tuple[str, int], ...]
    why_not: str
    note: str


class Heads:
    """witnesses: those that are asked."""

    def __init__(self, log: Log, witnesses: Sequence[Verifier]) -> None:
        self._log = log
        self._witnesses = tuple(witnesses)
        self._last: tuple[bytes, float | None, Head] | None = None

    def newest(self) -> Head:
        """Reads one small file: with the cosignatures that have come since it was signed."""
        (own, signed), published = self._log.signed, _read(self._log.public_directory / CHECKPOINT_PATH)
        # The file has its cosignatures, too; it may be a moment ahead.
        note = published if published is not None and published.startswith(own) else own
        last = self._last
        if last is None or last[:2] != (note, signed):
            last = self._last = note, signed, self._head(note, signed)
        return last[2]

    def _head(self, note: bytes, signed: float | None) -> Head:
        try:
            cosigned = tuple(cosigners(note, self._witnesses))
        except VerificationError:
            cosigned = ()
        why_not = "no witness yet" if self._witnesses else "nobody: this log has no witnesses"
        return Head(parse(note), signed, cosigned, why_not, note.decode())


def parse(note: bytes) -> Checkpoint:
    """Of our own log, whose signature needs no check here."""
    return Checkpoint.parse(note.decode().partition("\n\n")[0] + "\n")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
