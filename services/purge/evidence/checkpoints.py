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
    """published: Unix seconds. cosigned: name and time, Unix seconds, of each witness. note: all of it as text."""

    checkpoint: Checkpoint
    published: float | None
    cosigned: tuple[tuple[str, int], ...]
    why_not: str
    note: str


class Heads:
    """witnesses: those that are asked."""

    def __init__(self, log: Log, witnesses: Sequence[Verifier]) -> None:
        self._log = log
        self._witnesses = tuple(witnesses)
        self._last: tuple[bytes, Head] | None = None

    def newest(self) -> Head:
        """Reads one small file: with the cosignatures that have come since it was signed."""
        path = self._log.public_directory / CHECKPOINT_PATH
        note = _read(path) or self._log.checkpoint
        last = self._last
        if last is None or last[0] != note:
            last = self._last = note, self._head(path, note)
        return last[1]

    def _head(self, path: Path, note: bytes) -> Head:
        try:
            cosigned = tuple(cosigners(note, self._witnesses))
        except VerificationError:
            cosigned = ()
        try:
            published: float | None = path.stat().st_mtime
        except OSError:
            published = None
        why_not = "no witness yet" if self._witnesses else "nobody: this log has no witnesses"
        return Head(parse(note), published, cosigned, why_not, note.decode())


def parse(note: bytes) -> Checkpoint:
    """Of our own log, whose signature needs no check here."""
    return Checkpoint.parse(note.decode().partition("\n\n")[0] + "\n")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
