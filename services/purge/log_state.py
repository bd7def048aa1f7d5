"""A log's state between two checkpoints: how it is found again at a start, and how the next one is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.errors import ConfigError
from mesh.transparency.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from mesh.transparency.edge import Edge
from mesh.transparency.errors import VerificationError
from mesh.transparency.note import Signer, Verifier, is_signed_by, only_signed_by
from services.purge.log_store import LogStore


@dataclass(frozen=True, slots=True)
class State:
    """What is readable at one moment. pending: durable entries from index edge.size on; only ever appended to.

    signed: when the checkpoint was, Unix seconds; None where that was before this process: a checkpoint has no time.
    """

    edge: Edge
    checkpoint: bytes
    signed: float | None
    pending: list[bytes]


def recover(store: LogStore, signer: Signer, retired: Sequence[Verifier], clock: Clock) -> State:
    """The state after a crash at any moment: what the checkpoint covers, then what the journal holds beyond it."""
    signed = None
    store.public.prepare()
    edge, checkpoint = _load(store, (signer.verifier, *retired))
    entries = store.journal.recover(edge.size)
    if checkpoint is None or entries or not is_signed_by(checkpoint, signer.verifier):
        edge, checkpoint, signed = publish(store, edge, entries, signer, clock)
    # A crash may have come between a checkpoint and the tidying after it, whose last step is to drop the journal.
    store.public.remove_partials(store.journal.oldest, edge.size)
    store.journal.start(edge.size)
    return State(edge, checkpoint, signed, [])


def _load(store: LogStore, verifiers: Sequence[Verifier]) -> tuple[Edge, bytes | None]:
    """The newest checkpoint and its tree's edge. Raises ConfigError unless they belong together and to this log."""
    signed = store.public.checkpoint()
    if signed is None:
        if store.public.is_empty() and store.journal.is_empty():
            return Edge(), None
        # To begin again at zero would fork whatever checkpoint was signed before.
        raise ConfigError(f"The log in {store.public.directory} has lost its checkpoint; restore it.")
    try:
        checkpoint = open_checkpoint(signed, *verifiers)
        edge = Edge.load(store.public.reader, checkpoint.size)
    except (VerificationError, FileNotFoundError) as error:
        raise ConfigError(f"The log in {store.public.directory} is another log's, or damaged: {error}") from error
    if edge.root() != checkpoint.root:
        raise ConfigError(f"The tiles in {store.public.directory} don't have the checkpoint's root; restore them.")
    return edge, only_signed_by(signed, verifiers)


def publish(
    store: LogStore, edge: Edge, entries: list[bytes], signer: Signer, clock: Clock
) -> tuple[Edge, bytes, float]:
    """The tree with ``entries`` and its checkpoint, both on disk; when it was signed, Unix seconds.

    Raises OSError; Unavailable when the key is away.
    """
    grown, files = edge.extended(entries)
    signed = clock.wall()
    checkpoint = sign_checkpoint(Checkpoint(signer.name, grown.size, grown.root()), signer)
    store.public.publish(files, checkpoint)
    return grown, checkpoint, signed


def tidy(store: LogStore, old: int, new: int) -> None:
    """Delete what the tree of ``new`` leaves has made superfluous since that of ``old``. Raises OSError."""
    store.public.remove_partials(old, new)
    store.journal.rotate()
    store.journal.drop(new)
