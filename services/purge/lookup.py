"""Looking for receipts in a log that another replica writes, from its head backwards, without reading all of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.transparency.checkpoint import Checkpoint, open_checkpoint
from mesh.transparency.edge import perfect_subtrees
from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import inclusion_proof, leaf_hash, verify_inclusion
from mesh.transparency.note import Verifier
from mesh.transparency.tiles import CHECKPOINT_PATH, WIDTH, Reader, TileTree, read_entries
from services.purge.audit import LoggedAudit
from services.purge.ledger import Logged
from services.purge.receipt import Grant, LoggedReceipt, open_receipt, parse_entry

LATE = 120.0  # seconds by which a receipt may be dated before the moment at which a log took it


def ended_in(
    reader: Reader,
    verifiers: Sequence[Verifier],
    photo_ids: Collection[str],
    since: float,
    *,
    receipt_keys: Mapping[str, Ed25519PublicKey] | None = None,
) -> dict[str, Logged]:
    """Which of ``photo_ids`` have a receipt in that log; it ends where entries are older than ``since``, Unix seconds.

    Each entry that is looked at is shown to be the log's: its bundle is proven to lie under the signed checkpoint. That
    nothing was left out between the head and ``since`` follows from that; that the checkpoint is the newest does not.
    receipt_keys:  by key id; given, a receipt by another key does not count.
    Blocks: call it in a thread. Raises VerificationError, FileNotFoundError, and what the reader raises.
    """
    checkpoint = open_checkpoint(reader.read(CHECKPOINT_PATH), *verifiers)
    wanted, found = set(photo_ids), dict[str, Logged]()
    for first, entries in _backwards(reader, checkpoint):
        latest = 0.0
        for index, entry in enumerate(entries, first):
            parsed = parse_entry(entry)
            if isinstance(parsed, LoggedAudit):
                continue
            if isinstance(parsed, Grant):
                latest = max(latest, parsed.expire_time)  # it was logged before that
                continue
            receipt = parsed.receipt()
            latest = max(latest, receipt.ended_time + LATE)
            if receipt.photo_id in wanted and _is_signed(parsed, receipt_keys):
                found[receipt.photo_id] = Logged(index, parsed.envelope)
        if latest < since or len(found) == len(wanted):
            break
    return found


def _is_signed(logged: LoggedReceipt, keys: Mapping[str, Ed25519PublicKey] | None) -> bool:
    if keys is None:
        return True
    try:
        open_receipt(logged.envelope, keys)
    except VerificationError:
        return False
    return True


def _backwards(reader: Reader, checkpoint: Checkpoint) -> Iterator[tuple[int, list[bytes]]]:
    """Bundles from the last one on, each with the index of its first entry."""
    tree = TileTree(reader, checkpoint.size)
    for bundle in reversed(range(-(-checkpoint.size // WIDTH))):
        first = bundle * WIDTH
        entries = read_entries(reader, bundle, min(WIDTH, checkpoint.size - first))
        check_bundle(entries, first, checkpoint, tree)
        yield first, entries


def check_bundle(entries: list[bytes], first: int, checkpoint: Checkpoint, tree: TileTree) -> None:
    """That these are the log's entries from ``first`` on: an inclusion proof of the first one, in which every hash
    within the bundle is computed from the entries, leads to the root."""
    leaves = [leaf_hash(entry) for entry in entries]

    def node(level: int, index: int) -> bytes:
        begin = (index << level) - first
        if begin >= 0 and begin + (1 << level) <= len(leaves):
            (top,) = perfect_subtrees(leaves[begin : begin + (1 << level)])
            return top
        return tree.node(level, index)

    proof = inclusion_proof(first, checkpoint.size, node)
    verify_inclusion(leaves[0], first, checkpoint.size, proof, checkpoint.root)
