"""One entry of the log, shown with its proof. It says nothing but what the log's public files say already.

By its index any entry is found; by photo_id, a receipt of the last hour (the account holds no longer). What is not
under a checkpoint yet is not public yet, and is not found; nor is there a difference between a photo that lives, one
that ended long ago and one that never was.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from mesh.transparency.bundle import Bundle, LogProof
from mesh.transparency.errors import VerificationError
from mesh.transparency.merkle import leaf_hash, verify_inclusion
from services.purge.audit import LoggedAudit
from services.purge.evidence import proof
from services.purge.evidence.checkpoints import parse
from services.purge.evidence.words import count, escape, moment, plural, seconds, table
from services.purge.ledger import Ledger
from services.purge.receipt import Grant, LogEntry, LoggedReceipt, parse_entry

_PHOTO_ID = re.compile(r"[0-9a-f]{32}")
_INDEX = re.compile(r"[0-9]{1,18}")
LONGEST = 64  # characters of a question


@dataclass(frozen=True, slots=True)
class Found:
    """entry: the leaf. size: entries under the checkpoint. path: from the leaf to the root."""

    index: int
    entry: bytes
    parsed: LogEntry
    size: int
    root: bytes
    checkpoint: bytes
    hashes: tuple[bytes, ...]

    @property
    def leaf(self) -> bytes:
        return leaf_hash(self.entry)

    def bundle(self) -> bytes | None:
        """The receipt's file, as ``mayfly verify`` takes it; None for what is no receipt."""
        if not isinstance(self.parsed, LoggedReceipt):
            return None
        return Bundle(self.parsed.envelope, LogProof(self.index, self.hashes, self.checkpoint)).to_json()


class Lookup:
    """Reads a few small files for each question; may be asked from any thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def find(self, question: str) -> Found | None:
        """question: a photo_id or an index, as somebody typed it. None: nothing public is known of it here."""
        asked, log = question.strip().lower(), self._ledger.log
        if _PHOTO_ID.fullmatch(asked):
            logged = self._ledger.find(asked)
            index = logged.index if logged is not None else -1
        elif _INDEX.fullmatch(asked):
            index = int(asked)
        else:
            return None
        if not 0 <= index < log.integrated_size:
            return None
        try:
            entry, proven = log.entry(index), log.prove(index)
            head = parse(proven.checkpoint)
            found = Found(index, entry, parse_entry(entry), head.size, head.root, proven.checkpoint, proven.hashes)
            verify_inclusion(found.leaf, index, head.size, found.hashes, head.root)
        except (OSError, IndexError, VerificationError):
            return None
        return found


def show(found: Found | None) -> str:
    """The answer below the form."""
    if found is None:
        return (
            '<p class="none" id="answer">Nothing is known of that here. A receipt is found by its photo_id for an hour '
            "after the photo’s end, from a second after it, and by its place in the log for good.</p>"
        )
    path, kind = proof.steps(found.leaf, found.index, found.size, found.hashes), _kind(found)
    return (
        f'<div id="answer"><h3>{_title(found)}</h3>{_told(found)}<details id="content"><summary>As it stands in the log'
        f"</summary><pre><code>{escape(_content(found))}</code></pre></details>"
        f"{_download(found)}<h3>Its proof</h3><p>The log’s entry of this {kind} is number {count(found.index)} of "
        f"{count(found.size)}, counted from 0. Its hash, with each hash that the proof gives, comes to the root that "
        f"the checkpoint signs; this was checked just now. A log in which the entry of this {kind} was changed or "
        "missing would have another root.</p>"
        f"{proof.draw(found.leaf, path, kind)}"
        '<details id="hashes" open><summary>Every hash</summary>'
        f"{proof.listed(found.leaf, path, kind)}</details>"
        f'<details id="signed"><summary>The checkpoint that signs the root</summary><pre><code>'
        f"{escape(found.checkpoint.decode())}</code></pre></details></div>"
    )


def _kind(found: Found) -> str:
    """What the entry is, in words."""
    if isinstance(found.parsed, Grant):
        return "grant"
    return "audit statement" if isinstance(found.parsed, LoggedAudit) else "receipt"


def _title(found: Found) -> str:
    if isinstance(found.parsed, Grant):
        return "A grant: the lease of one photo, before its first byte"
    if isinstance(found.parsed, LoggedAudit):
        return "An audit statement"
    receipt = found.parsed.receipt()
    return f"A receipt: {receipt.outcome}, {receipt.reason.replace('_', ' ')}"


def _told(found: Found) -> str:
    """A receipt in words."""
    if not isinstance(found.parsed, LoggedReceipt):
        return ""
    receipt = found.parsed.receipt()
    held = [f"{each.holder}: {seconds(each.seconds)}, then {each.state}" for each in receipt.custody]
    controls = [f"{holder}: {plural(len(names), 'control')}" for holder, names in receipt.lockdown.items()]
    return table(
        [
            ("photo_id", f"<code>{receipt.photo_id}</code>"),
            ("Admitted", "lost in a crash" if receipt.admitted_time is None else moment(receipt.admitted_time)),
            ("Ended", moment(receipt.ended_time)),
            ("Lived", "lost in a crash" if receipt.residency_seconds is None else seconds(receipt.residency_seconds)),
            ("Who held it", "<br>".join(held) or "nobody"),
            ("Locked down by", "<br>".join(controls)),
            ("Worked on by", escape(", ".join(receipt.processors))),
            ("Privacy policy", escape(receipt.policy_version)),
        ]
    )


def _content(found: Found) -> str:
    entry = found.entry if isinstance(found.parsed, Grant) else found.parsed.envelope.payload
    return json.dumps(json.loads(entry), indent=2, ensure_ascii=False)


def _download(found: Found) -> str:
    if not isinstance(found.parsed, LoggedReceipt):
        return ""
    return (
        "<p>Check it yourself, without this page and without a network: "
        f'<a href="/evidence/receipt?receipt={found.index}" download="receipt.json">receipt.json</a> and '
        '<a href="/keys/keys.json" download>keys.json</a>, then</p>'
        "<pre><code>mayfly verify receipt.json --key keys.json</code></pre>"
        "<p>Take the keys from where you trust them: a page that lied could hand out keys that fit.</p>"
    )
