"""Checking receipts and logs without a network and without trusting the mesh: needs its public keys, nothing else."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.transparency.bundle import Bundle, LogProof
from mesh.transparency.checkpoint import Checkpoint, open_checkpoint
from mesh.transparency.dsse import keyring
from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import leaf_hash, verify_inclusion
from mesh.transparency.note import Verifier, open_note
from mesh.transparency.replay import replay
from mesh.transparency.tiles import CHECKPOINT_PATH, Reader
from services.purge.receipt import Grant, LoggedReceipt, Receipt, commitment, open_receipt, parse_entry

MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Verified:
    """A receipt that passed.

    checks:      what was checked, in order: "format", "signature", then "nonce", "checkpoint", "inclusion" if given.
    keyid:       the key that signed the receipt.
    index:       the receipt's leaf, None when the file has no proof yet.
    checkpoint:  the log's head that the proof leads to, None when the file has no proof yet.
    """

    receipt: Receipt
    checks: tuple[str, ...]
    keyid: str
    index: int | None = None
    checkpoint: Checkpoint | None = None

    @property
    def logged(self) -> bool:
        return self.checkpoint is not None


def verify_bundle(
    data: bytes,
    *,
    receipt_keys: Sequence[Ed25519PublicKey],
    log_vkey: str | None,
    nonce: bytes | None = None,
) -> Verified:
    """Check a receipt file. Any byte of it that was changed is refused.

    receipt_keys:  keys that may have signed receipts.
    log_vkey:      the log's verifier key; without one, a file with a proof is refused, since nobody could check it.
    nonce:         the client's own; given, the receipt must commit to it.
    Raises VerificationError(check, sentence) and nothing else.
    """
    bundle = Bundle.from_json(data)
    checks = ["format"]
    receipt = open_receipt(bundle.envelope, keyring(receipt_keys))
    checks.append("signature")
    if nonce is not None:
        _check_nonce(receipt, nonce)
        checks.append("nonce")
    if bundle.log is None:
        return Verified(receipt, tuple(checks), bundle.envelope.keyid)
    if log_vkey is None:
        raise VerificationError("checkpoint", "The file has a log proof; give the log's key so that it can be checked.")
    leaf = leaf_hash(LoggedReceipt(bundle.envelope).to_entry())
    checkpoint = _check_logged(bundle.log, leaf, Verifier.parse(log_vkey))
    checks += ["checkpoint", "inclusion"]
    return Verified(receipt, tuple(checks), bundle.envelope.keyid, bundle.log.index, checkpoint)


def _check_nonce(receipt: Receipt, nonce: bytes) -> None:
    if not hmac.compare_digest(receipt.nonce_commitment, commitment(nonce)):
        raise VerificationError("nonce", "This receipt is for another request: it does not commit to your nonce.")


def _check_logged(log: LogProof, leaf: bytes, verifier: Verifier) -> Checkpoint:
    # A signature that nobody checks could be changed unnoticed, so a receipt file may not carry one.
    if open_note(log.checkpoint, [verifier]).unknown:
        raise VerificationError("checkpoint", "The checkpoint carries a signature of a key that was not given.")
    checkpoint = open_checkpoint(log.checkpoint, verifier)
    verify_inclusion(leaf, log.index, checkpoint.size, log.inclusion_proof, checkpoint.root)
    return checkpoint


@dataclass(frozen=True, slots=True)
class Recount:
    """What the entries of one or more logs add up to (R6: granted = open + settled + revoked + expired).

    open:      photo_ids granted and not ended yet, in the order of their grants.
    problems:  sentences, at most 100; empty for an honest log.
    """

    grants: int = 0
    settled: int = 0
    revoked: int = 0
    expired: int = 0
    open: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def conserved(self) -> bool:
        return self.grants == len(self.open) + self.settled + self.revoked + self.expired and not self.problems


def recount(entries: Iterable[bytes], *, receipt_keys: Sequence[Ed25519PublicKey] | None = None) -> Recount:
    """Count grants and ends. With ``receipt_keys``, each receipt's signature is checked too.

    Entries of several logs may be chained in any order, since a photo may be granted in one and ended in another.
    Memory grows with the grants that are open, not with the log.
    """
    tally = _Tally(None if receipt_keys is None else keyring(receipt_keys))
    for number, entry in enumerate(entries):
        tally.add(number, entry)
    return tally.result()


class _Tally:
    def __init__(self, keys: Mapping[str, Ed25519PublicKey] | None) -> None:
        self._keys = keys
        self._grants = 0
        self._outcomes = {"settled": 0, "revoked": 0, "expired": 0}
        self._balance: dict[str, int] = {}  # grants minus receipts of each photo_id, where that isn't zero
        self._problems: list[str] = []

    def add(self, number: int, entry: bytes) -> None:
        try:
            parsed = parse_entry(entry)
            if isinstance(parsed, Grant):
                self._grants += 1
                self._move(parsed.photo_id, 1)
                return
            receipt = parsed.receipt() if self._keys is None else open_receipt(parsed.envelope, self._keys)
            self._outcomes[receipt.outcome] += 1
            self._move(receipt.photo_id, -1)
        except VerificationError as error:
            self._problem(f"Entry {number}: {error.sentence}")

    def result(self) -> Recount:
        for photo_id, balance in self._balance.items():
            if balance > 1:
                self._problem(f"Photo {photo_id} was granted {balance} times more than it was ended.")
            elif balance < 0:
                self._problem(f"Photo {photo_id} was ended {-balance} times more than it was granted.")
        still_open = [photo_id for photo_id, balance in self._balance.items() if balance > 0]
        return Recount(self._grants, **self._outcomes, open=still_open, problems=self._problems)

    def _move(self, photo_id: str, by: int) -> None:
        balance = self._balance.get(photo_id, 0) + by
        if balance:
            self._balance[photo_id] = balance
        else:
            del self._balance[photo_id]

    def _problem(self, sentence: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(sentence)


@dataclass(frozen=True, slots=True)
class Audit:
    """A whole log, replayed. checkpoint: its signed head, whose root the entries have."""

    checkpoint: Checkpoint
    recount: Recount


def audit_log(
    reader: Reader,
    *,
    log_vkey: str,
    receipt_keys: Sequence[Ed25519PublicKey] | None = None,
    earlier: bytes | None = None,
) -> Audit:
    """Replay the log behind ``reader``: signature, every entry, root, conservation.

    earlier:  a checkpoint that was kept from before; the log must be an extension of it.
    Raises VerificationError when the log is not what it signed; FileNotFoundError when a part of it is missing.
    """
    verifier = Verifier.parse(log_vkey)
    checkpoint = open_checkpoint(reader.read(CHECKPOINT_PATH), verifier)
    before = None if earlier is None else open_checkpoint(earlier, verifier)
    return Audit(checkpoint, recount(replay(reader, checkpoint, before), receipt_keys=receipt_keys))
