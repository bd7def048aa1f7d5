"""Reading a whole log from its first entry, and recomputing on the way what its checkpoints claim."""

from __future__ import annotations

from collections.abc import Iterator

from mesh.transparency.checkpoint import Checkpoint
from mesh.transparency.edge import Edge
from mesh.transparency.errors import VerificationError
from mesh.transparency.tiles import WIDTH, Reader, read_entries


def replay(reader: Reader, checkpoint: Checkpoint, earlier: Checkpoint | None = None) -> Iterator[bytes]:
    """Each entry below ``checkpoint``, in order; memory does not grow with the log.

    After the last entry it has been shown that the entries have the checkpoint's root and, with ``earlier``, that the
    log only ever grew since. Raises VerificationError("replay" or "consistency", ...) and FileNotFoundError; entries
    that were yielded before are then worth nothing.
    """
    if earlier is not None and (earlier.origin != checkpoint.origin or earlier.size > checkpoint.size):
        raise VerificationError("consistency", "The earlier checkpoint is of another log, or of a larger one.")
    edge = Edge()
    _check_earlier(edge, [], earlier)
    while edge.size < checkpoint.size:
        width = min(WIDTH, checkpoint.size - edge.size)
        entries = read_entries(reader, edge.size // WIDTH, width)
        _check_earlier(edge, entries, earlier)
        edge, _ = edge.extended(entries)
        yield from entries
    if edge.root() != checkpoint.root:
        raise VerificationError("replay", "The entries do not have the root that the checkpoint claims.")


def _check_earlier(edge: Edge, entries: list[bytes], earlier: Checkpoint | None) -> None:
    """When ``earlier`` ends within ``entries``, the tree up to there must have been its tree."""
    if earlier is None or not edge.size <= earlier.size <= edge.size + len(entries):
        return
    then, _ = edge.extended(entries[: earlier.size - edge.size])
    if then.root() != earlier.root:
        raise VerificationError("consistency", "The log was rewritten: the earlier checkpoint is not a prefix of it.")
