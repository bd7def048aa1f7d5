"""Checking receipts and logs without a network and without trusting the mesh: needs its public keys, nothing else."""

from __future__ import annotations

import hmac
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.transparency.bundle import Bundle
from mesh.transparency.checkpoint import Checkpoint, open_checkpoint
from mesh.transparency.dsse import key_id, keyring
from mesh.transparency.errors import VerificationError
from mesh.transparency.key_list import Period
from mesh.transparency.merkle import leaf_hash, verify_inclusion
from mesh.transparency.note import COSIGNATURE, Verifier, open_note
from services.purge.audit import LoggedAudit, Statement, open_statement
from services.purge.receipt import Grant, LoggedReceipt, Receipt, commitment, open_receipt, parse_entry

MAX_PROBLEMS = 100
OVERDUE_AFTER = 60.0  # seconds past its end after which an open lease has been forgotten
VALIDITY_SLACK = 600  # seconds: a receipt is dated before it is signed, and a log that is away keeps it waiting
_USUAL_LEASE = 300.0  # seconds


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
    log_vkey: str | Sequence[str] | None,
    nonce: bytes | None = None,
    validity: Sequence[Period] = (),
    witnesses: Sequence[str] = (),
    quorum: int = 0,
    asked: Sequence[str] | None = None,
) -> Verified:
    """Check a receipt file. Any byte of it that was changed is refused.

    receipt_keys:  keys that may have signed receipts; the receipt says which one did.
    log_vkey:      the verifier keys of logs that may hold it; the checkpoint says which one does. Without one, a file
                   with a proof is refused, since nobody could check it.
    nonce:         the client's own; given, the receipt must commit to it.
    validity:      when keys were in use; a receipt by a key that is listed must have been signed in its time.
    witnesses:     vkeys of witnesses that may have cosigned the checkpoint.
    quorum:        how many of the witnesses ``asked`` (else of all) must have.
    Raises VerificationError(check, sentence) and nothing else.
    """
    bundle = Bundle.from_json(data)
    checks = ["format"]
    receipt = open_receipt(bundle.envelope, keyring(receipt_keys))
    check_period(receipt, bundle.envelope.keyid, validity)
    checks.append("signature")
    if nonce is not None:
        _check_nonce(receipt, nonce)
        checks.append("nonce")
    if bundle.log is None:
        if quorum:
            raise VerificationError("witness", "The file has no log proof that a witness could have cosigned.")
        return Verified(receipt, tuple(checks), bundle.envelope.keyid)
    if not log_vkey:
        raise VerificationError("checkpoint", "The file has a log proof; give the log's key so that it can be checked.")
    vkeys = [log_vkey] if isinstance(log_vkey, str) else log_vkey
    leaf = leaf_hash(LoggedReceipt(bundle.envelope).to_entry())
    signers = [Verifier.parse(vkey) for vkey in [*vkeys, *witnesses]]
    # A signature that nobody checks could be changed unnoticed, so a receipt file may not carry one.
    if open_note(bundle.log.checkpoint, signers).unknown:
        sentence = "The checkpoint carries a signature of a key that was not given: a log's, or a witness's."
        raise VerificationError("checkpoint", sentence)
    counted = [Verifier.parse(vkey) for vkey in (witnesses if asked is None else asked)]
    checkpoint = open_witnessed(bundle.log.checkpoint, [Verifier.parse(vkey) for vkey in vkeys], counted, quorum)
    verify_inclusion(leaf, bundle.log.index, checkpoint.size, bundle.log.inclusion_proof, checkpoint.root)
    checks += ["checkpoint", "inclusion", *(["witness"] if quorum else [])]
    return Verified(receipt, tuple(checks), bundle.envelope.keyid, bundle.log.index, checkpoint)


def check_period(receipt: Receipt, keyid: str, validity: Sequence[Period]) -> None:
    """Raises VerificationError("validity", ...) when a key that is listed signed outside its time."""
    periods = [period for period in validity if key_id(period.key) == keyid]
    if periods and not any(period.covers(receipt.ended_time, VALIDITY_SLACK) for period in periods):
        raise VerificationError("validity", "The key was not in use when this receipt says that it was signed.")


def open_witnessed(note: bytes, keys: Sequence[Verifier], witnesses: Sequence[Verifier], quorum: int) -> Checkpoint:
    """A log's checkpoint that at least ``quorum`` of the witnesses have cosigned. Raises VerificationError."""
    checkpoint = open_checkpoint(note, *keys, *witnesses)
    cosigned = {key.vkey for key in open_note(note, [*keys, *witnesses]).verified if key.kind == COSIGNATURE}
    if len(cosigned) < quorum:
        raise VerificationError("witness", f"{len(cosigned)} of the witnesses have cosigned the log; {quorum} must.")
    return checkpoint


def _check_nonce(receipt: Receipt, nonce: bytes) -> None:
    if not hmac.compare_digest(receipt.nonce_commitment, commitment(nonce)):
        raise VerificationError("nonce", "This receipt is for another request: it does not commit to your nonce.")


@dataclass(frozen=True, slots=True)
class Recount:
    """What the entries of one or more logs add up to (R6: granted = open + settled + revoked + expired).

    open:      photo_ids granted and not ended yet, in the order of their grants. overdue: those of them whose
               time was up at the moment that the count was asked for.
    audits:    the auditor's statements, outcome → how many; they begin and end no lease. audits_checked: whether their
               signatures were checked; if not, anybody may have written them.
    problems:  sentences, at most 100; empty for an honest log.
    """

    grants: int = 0
    settled: int = 0
    revoked: int = 0
    expired: int = 0
    open: list[str] = field(default_factory=list)
    overdue: list[str] = field(default_factory=list)
    audits: dict[str, int] = field(default_factory=dict)
    audits_checked: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def conserved(self) -> bool:
        return self.grants == len(self.open) + self.settled + self.revoked + self.expired and not self.problems


def recount(entries: Iterable[bytes], *, receipt_keys: Sequence[Ed25519PublicKey] | None = None) -> Recount:
    """Count grants and ends. With ``receipt_keys``, each receipt's signature is checked too.

    Entries of several logs may be chained in any order, since a photo may be granted in one and ended in another.
    Memory grows with the grants that are open, not with the log.
    """
    tally = Tally(None if receipt_keys is None else keyring(receipt_keys))
    for number, entry in enumerate(entries):
        tally.add(f"Entry {number}", entry)
    return tally.result()


class Observer(Protocol):
    """Is told what stands in a log, entry by entry, in the order in which they are read; after each was checked."""

    def granted(self, grant: Grant) -> None: ...

    def ended(self, receipt: Receipt) -> None: ...

    def audited(self, statement: Statement) -> None: ...


class Tally:
    """A count that goes on. keys: by key id; None: no signature is checked. validity: when keys were in use.

    audit_keys: the auditor's, by key id; None: signatures of audit statements are not checked.
    """

    def __init__(
        self,
        keys: Mapping[str, Ed25519PublicKey] | None,
        validity: Sequence[Period] = (),
        audit_keys: Mapping[str, Ed25519PublicKey] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._observer = observer
        self._keys = keys
        self._audit_keys = audit_keys
        self._audits: dict[str, int] = {}
        self._statements: set[str] = set()  # their ids
        self._validity = validity
        self._grants = 0
        self._outcomes = {"settled": 0, "revoked": 0, "expired": 0}
        self._balance: dict[str, int] = {}  # grants minus receipts of each photo_id, where that isn't zero
        self._expire: dict[str, int] = {}  # of those
        self._problems: list[str] = []

    def add(self, name: str, entry: bytes) -> float:
        """Returns about when it was logged, Unix seconds; 0 for what is no entry. name: what problems call it."""
        try:
            parsed = parse_entry(entry)
            if isinstance(parsed, Grant):
                self._grants += 1
                self._expire[parsed.photo_id] = parsed.expire_time
                self._move(parsed.photo_id, 1)
                if self._observer is not None:
                    self._observer.granted(parsed)
                return parsed.expire_time - _USUAL_LEASE
            if isinstance(parsed, LoggedAudit):
                return self._audit(parsed)
            receipt = parsed.receipt() if self._keys is None else open_receipt(parsed.envelope, self._keys)
            self._outcomes[receipt.outcome] += 1
            self._move(receipt.photo_id, -1)
            check_period(receipt, parsed.envelope.keyid, self._validity)
            if self._observer is not None:
                self._observer.ended(receipt)
            return receipt.ended_time
        except VerificationError as error:
            self._problem(f"{name}: {error.sentence}")
            return 0.0

    def result(self, now: float | None = None) -> Recount:
        """now: Unix seconds; given, a lease that is open a minute after its end is a problem."""
        problems = list(self._problems)
        for photo_id, balance in self._balance.items():
            if balance > 1:
                problems.append(f"Photo {photo_id} was granted {balance} times more than it was ended.")
            elif balance < 0:
                problems.append(f"Photo {photo_id} was ended {-balance} times more than it was granted.")
        still_open = [photo_id for photo_id, balance in self._balance.items() if balance > 0]
        latest = -math.inf if now is None else now - OVERDUE_AFTER
        overdue = [photo_id for photo_id in still_open if self._expire[photo_id] < latest]
        problems += [f"Photo {photo_id} is past its end and has no receipt." for photo_id in overdue]
        problems = problems[:MAX_PROBLEMS]
        return Recount(
            self._grants,
            **self._outcomes,
            open=still_open,
            overdue=overdue,
            audits=dict(self._audits),
            audits_checked=self._audit_keys is not None,
            problems=problems,
        )

    def _audit(self, logged: LoggedAudit) -> float:
        keys = self._audit_keys
        statement = logged.statement() if keys is None else open_statement(logged.envelope, keys)
        if statement.id in self._statements:
            raise VerificationError("audit", f"Audit statement {statement.id} was there before.")
        self._statements.add(statement.id)
        self._audits[statement.outcome] = self._audits.get(statement.outcome, 0) + 1
        if self._observer is not None:
            self._observer.audited(statement)
        return statement.time

    def _move(self, photo_id: str, by: int) -> None:
        balance = self._balance.get(photo_id, 0) + by
        if balance:
            self._balance[photo_id] = balance
        else:
            del self._balance[photo_id]
            del self._expire[photo_id]

    def _problem(self, sentence: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(sentence)
