"""Replaying whole logs, several shards of one mesh merged, and recounting what they say (R6)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from clients.verify import Observer, Recount, Tally, open_witnessed
from mesh.transparency.checkpoint import Checkpoint, open_checkpoint
from mesh.transparency.dsse import keyring
from mesh.transparency.errors import VerificationError
from mesh.transparency.key_list import Period
from mesh.transparency.merkle import consistency_proof, verify_consistency
from mesh.transparency.note import Verifier
from mesh.transparency.replay import replay
from mesh.transparency.tiles import CHECKPOINT_PATH, COSIGNED_PATH, WIDTH, Reader, TileTree


@dataclass(frozen=True, slots=True)
class Trust:
    """Public keys that the auditor has from somewhere that he trusts.

    logs:       of any of the logs, former keys too. receipts: None: signatures of receipts are not checked.
    validity:   when receipts' keys were in use. witnesses, quorum: how many of which must have cosigned each log.
    audits:     the auditor's; None: signatures of audit statements are not checked.
    """

    logs: Sequence[Verifier]
    receipts: Sequence[Ed25519PublicKey] | None = None
    validity: Sequence[Period] = ()
    witnesses: Sequence[Verifier] = ()
    quorum: int = 0
    audits: Sequence[Ed25519PublicKey] | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """One log. note: its signed head, to be kept for the next audit."""

    checkpoint: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True)
class Audit:
    """Whole logs, replayed; their entries have the roots that they signed."""

    shards: tuple[Shard, ...]
    recount: Recount


def audit_logs(
    readers: Sequence[Reader],
    trust: Trust,
    *,
    earlier: Mapping[str, bytes] | None = None,
    now: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    observer: Observer | None = None,
    until: Mapping[str, bytes] | None = None,
) -> Audit:
    """Replay the logs behind ``readers``: signatures, every entry, roots, conservation over all of them.

    earlier:   checkpoints that were kept from before, by origin; each log must be an extension of its own.
    now:       Unix seconds, before the first read; given, leases that are open past their end are problems.
    progress:  is told how many entries of how many have been read.
    observer:  is told what the entries say. A log that is then found not to be what it signed has said nothing.
    until:     signed heads, by origin, that each log is read up to instead of its newest one, which must extend it.
    Memory grows with the leases that are open at one time and with the audits, not with the logs: they are read side by
    side, by the times in them. Raises VerificationError when a log is not what it signed; FileNotFoundError when a part
    of it is missing; what the readers raise.
    """
    shards = [_up_to(reader, _head(reader, trust), trust, until) for reader in readers]
    origins = [shard.checkpoint.origin for shard in shards]
    if len(set(origins)) != len(origins):
        raise VerificationError("checkpoint", "Two of the logs are the same one; give each log once.")
    kept = {origin: open_checkpoint(note, *trust.logs) for origin, note in (earlier or {}).items() if origin in origins}
    tally = Tally(
        None if trust.receipts is None else keyring(trust.receipts),
        trust.validity,
        None if trust.audits is None else keyring(trust.audits),
        observer,
    )
    _read(readers, [shard.checkpoint for shard in shards], kept, tally, progress)
    return Audit(tuple(shards), tally.result(now))


def _head(reader: Reader, trust: Trust) -> Shard:
    """The newest checkpoint; where witnesses must have cosigned it and have not yet, the newest that they have."""
    note = reader.read(CHECKPOINT_PATH)
    try:
        return Shard(open_witnessed(note, trust.logs, trust.witnesses, trust.quorum), note)
    except VerificationError as error:
        if error.check != "witness":
            raise
        try:
            note = reader.read(COSIGNED_PATH)
        except FileNotFoundError:
            raise error from None
        return Shard(open_witnessed(note, trust.logs, trust.witnesses, trust.quorum), note)


def _up_to(reader: Reader, newest: Shard, trust: Trust, until: Mapping[str, bytes] | None) -> Shard:
    """The head that is asked for, once the log's tiles have shown that its newest one extends it."""
    if until is None:
        return newest
    head = newest.checkpoint
    note = until.get(head.origin)
    if note is None:
        raise VerificationError("checkpoint", f"No head of the log {head.origin} is known that it could be read up to.")
    asked = open_checkpoint(note, *trust.logs, *trust.witnesses)
    if asked.origin != head.origin or asked.size > head.size:
        raise VerificationError("consistency", "The log is shorter than it was, or another one.")
    proof = consistency_proof(asked.size, head.size, TileTree(reader, head.size).node)
    verify_consistency(asked.size, head.size, proof, asked.root, head.root)
    return Shard(asked, note)


def _read(
    readers: Sequence[Reader],
    heads: Sequence[Checkpoint],
    earlier: Mapping[str, Checkpoint],
    tally: Tally,
    progress: Callable[[int, int], None],
) -> None:
    """A bundle at a time from the log that is furthest behind, so that a grant here meets its receipt there."""
    total, done = sum(head.size for head in heads), 0
    entries = [replay(reader, head, earlier.get(head.origin)) for reader, head in zip(readers, heads, strict=True)]
    place = [0] * len(heads)
    behind = [(0.0, number) for number in range(len(heads))]
    while behind:
        clock, number = heapq.heappop(behind)
        name = "Entry" if len(heads) == 1 else f"{heads[number].origin}, entry"
        count = 0
        for count, entry in enumerate(islice(entries[number], WIDTH), 1):
            clock = max(clock, tally.add(f"{name} {place[number] + count - 1}", entry))
        place[number] += count
        done += count
        progress(done, total)
        if count:
            heapq.heappush(behind, (clock, number))
