"""A stranger recounts R6 from the log alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.audit import Audit, Trust, audit_logs
from clients.verify import recount
from mesh.clock import SystemClock
from mesh.transparency.errors import VerificationError
from mesh.transparency.note import Signer
from mesh.transparency.tiles import DirectoryReader, Reader, encode_bundle
from services.purge.log import Log
from services.purge.receipt import Grant, LoggedReceipt, Receipt, sign_receipt

KEY = Ed25519PrivateKey.from_private_bytes(b"r" * 32)
LOG = Signer("mayfly.test/log", Ed25519PrivateKey.from_private_bytes(b"l" * 32))
ENDS = [("settled", "delivered"), ("revoked", "requested"), ("expired", "overdue")]


def photo(number: int) -> str:
    return f"{number:032x}"


def grant(number: int) -> bytes:
    return Grant(photo(number), 1_767_225_600).to_entry()


def receipt(number: int, end: int | None = None, key: Ed25519PrivateKey = KEY) -> bytes:
    outcome, reason = ENDS[number % 3 if end is None else end]
    return LoggedReceipt(sign_receipt(Receipt(photo(number), 5, outcome, reason), key)).to_entry()


def test_an_honest_log_adds_up() -> None:
    entries = [grant(0), grant(1), receipt(0), grant(2), grant(3), receipt(2), receipt(1), grant(4)]
    counted = recount(entries, receipt_keys=[KEY.public_key()])
    assert (counted.grants, counted.settled, counted.revoked, counted.expired) == (5, 1, 1, 1)
    assert counted.open == [photo(3), photo(4)] and not counted.problems and counted.conserved


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([grant(0), receipt(0), receipt(0)], "was ended 1 times more"),
        ([receipt(0)], "was ended 1 times more"),
        ([grant(0), grant(0), grant(0), receipt(0)], "was granted 2 times more"),
        ([b"{}"], "Entry 0"),
        ([grant(0), b"not JSON"], "Entry 1"),
        ([grant(0), receipt(0, key=LOG.key)], "Entry 1"),
    ],
)
def test_what_does_not_add_up_is_said(entries: list[bytes], sentence: str) -> None:
    counted = recount(entries, receipt_keys=[KEY.public_key()])
    assert sentence in counted.problems[0] and not counted.conserved


def test_problems_are_bounded() -> None:
    assert len(recount([b"x"] * 1000).problems) == 100


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=12), st.randoms(use_true_random=False))
def test_shards_may_be_chained_in_any_order(ended: list[bool], random: st.randoms) -> None:  # type: ignore[valid-type]
    entries = [grant(i) for i in range(len(ended))] + [receipt(i) for i, done in enumerate(ended) if done]
    random.shuffle(entries)  # type: ignore[attr-defined]
    counted = recount(entries)
    assert counted.conserved and sorted(counted.open) == [photo(i) for i, done in enumerate(ended) if not done]


async def _logged(directory: Path, *parts: list[bytes]) -> list[bytes]:
    notes = []
    log = Log.open(directory, origin=LOG.name, signer=LOG, clock=SystemClock())
    for part in parts:
        for entry in part:
            await log.append(entry)
        await log.integrate()
        notes.append(log.checkpoint)
    await log.close()
    return notes


def audit_log(reader: Reader, log: Signer = LOG, earlier: bytes | None = None, **options: object) -> Audit:
    kept = {} if earlier is None else {LOG.name: earlier}
    return audit_logs([reader], Trust([log.verifier], [KEY.public_key()]), earlier=kept, **options)  # type: ignore[arg-type]


def test_a_whole_log_is_replayed(tmp_path: Path) -> None:
    first = [grant(i) for i in range(150)]
    second = [receipt(i) for i in range(140)]
    notes = asyncio.run(_logged(tmp_path, first, second))
    reader = DirectoryReader(tmp_path / "public")
    audit = audit_log(reader, earlier=notes[0])
    assert audit.shards[0].checkpoint.size == 290 and audit.recount.conserved and len(audit.recount.open) == 10
    assert audit.recount.settled + audit.recount.revoked + audit.recount.expired == 140


def test_a_log_that_forgets_is_noticed(tmp_path: Path) -> None:
    (kept,) = asyncio.run(_logged(tmp_path / "a", [grant(0), grant(1)]))
    asyncio.run(_logged(tmp_path / "b", [grant(0), grant(2), receipt(0), receipt(2)]))
    reader = DirectoryReader(tmp_path / "b" / "public")
    assert audit_log(reader).recount.conserved
    with pytest.raises(VerificationError, match="rewritten"):
        audit_log(reader, earlier=kept)


def test_an_exchanged_entry_or_key_is_noticed(tmp_path: Path) -> None:
    asyncio.run(_logged(tmp_path, [grant(0), grant(1)]))
    reader = DirectoryReader(tmp_path / "public")
    with pytest.raises(VerificationError):
        audit_log(reader, Signer(LOG.name, KEY))
    (tmp_path / "public" / "tile" / "entries" / "000.p" / "2").write_bytes(encode_bundle([grant(0), grant(5)]))
    with pytest.raises(VerificationError, match="root"):
        audit_log(reader)
