"""Audit statements: what they can say, that they are signed, and what they are to those who read the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from clients.verify import recount
from mesh.clock import SystemClock
from mesh.errors import Invalid
from mesh.transparency.canonical import to_json
from mesh.transparency.dsse import keyring, sign
from mesh.transparency.errors import VerificationError
from mesh.transparency.note import Signer
from services.purge.audit import (
    MAX_BYTES,
    OUTCOMES,
    PAYLOAD_TYPE,
    PLACES,
    LoggedAudit,
    Residue,
    Statement,
    open_statement,
    sign_statement,
)
from services.purge.audits import Audits
from services.purge.ledger import Ledger
from services.purge.log import Log
from services.purge.receipt import Grant, LoggedReceipt, Receipt, parse_entry, sign_receipt
from services.purge.tally import Audited, Tally, read_fact

KEY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
RECEIPTS = Ed25519PrivateKey.from_private_bytes(b"r" * 32)
LOG = Signer("mayfly.test/log", Ed25519PrivateKey.from_private_bytes(b"l" * 32))
CLEAN = Statement(1_767_225_600, "clean", {"delivered": 7, "expired": 1}, {"memory": 1 << 30}, (), True)

_words = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True)
_counts = st.integers(0, 1 << 60)
_residues = st.lists(st.builds(Residue, _words, st.sampled_from(sorted(PLACES)), st.integers(1, 1 << 60)), max_size=4)


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    residue = tuple(draw(_residues))
    return Statement(
        draw(st.integers(0, 4_000_000_000)),
        "residue" if residue else draw(st.sampled_from(sorted(OUTCOMES - {"residue"}))),
        draw(st.dictionaries(_words, _counts, max_size=4)),
        draw(st.dictionaries(st.sampled_from(sorted(PLACES)), _counts)),
        residue,
        draw(st.sampled_from([None, True, False])),
    )


@given(statements())
def test_a_statement_has_one_spelling(statement: Statement) -> None:
    assert Statement.from_json(statement.to_json()) == statement
    entry = LoggedAudit(sign_statement(statement, KEY)).to_entry()
    parsed = parse_entry(entry)
    assert isinstance(parsed, LoggedAudit)
    assert open_statement(parsed.envelope, keyring([KEY.public_key()])) == statement
    assert read_fact(entry) == Audited(statement.outcome)


@given(statements(), st.data())
def test_a_changed_byte_is_noticed(statement: Statement, data: st.DataObject) -> None:
    entry = bytearray(LoggedAudit(sign_statement(statement, KEY)).to_entry())
    at = data.draw(st.integers(0, len(entry) - 1))
    entry[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VerificationError):
        parsed = parse_entry(bytes(entry))
        assert isinstance(parsed, LoggedAudit)
        open_statement(parsed.envelope, keyring([KEY.public_key()]))


@pytest.mark.parametrize(
    "made",
    [
        lambda: Statement(0, "fine"),
        lambda: Statement(0, "clean", {"GPS 48.1, 11.5": 1}),
        lambda: Statement(0, "clean", searched={"attic": 1}),
        lambda: Statement(0, "clean", searched={"memory": -1}),
        lambda: Statement(0, "clean", residue=(Residue("ingest", "memory", 1),)),
        lambda: Statement(0, "residue"),
        lambda: Residue("ingest", "memory", 0),
        lambda: Residue("/tmp/baby.jpg", "file", 1),
        lambda: Residue("ingest", "IMG_1.jpg", 1),
    ],
)
def test_nothing_else_can_be_said(made) -> None:
    with pytest.raises(ValueError, match=r"."):
        made()


def test_the_time_is_rounded_to_a_minute() -> None:
    assert Statement(1_767_225_629, "clean").time == Statement(1_767_225_571, "clean").time == 1_767_225_600


@pytest.mark.parametrize(
    "changed",
    [{"type": "https://mayfly.dev/audit/v2"}, {"more": 1}, {"time": "yesterday"}, {"reconciled": 1}, {"canaries": []}],
)
def test_unknown_fields_and_values_are_refused(changed: dict[str, object]) -> None:
    import json

    value = json.loads(CLEAN.to_json()) | changed
    with pytest.raises(VerificationError):
        Statement.from_json(to_json(value))


def test_an_audit_is_no_receipt_and_a_receipt_is_no_audit() -> None:
    receipt = sign_receipt(Receipt("a" * 32, 5, "settled", "delivered"), KEY)
    with pytest.raises(VerificationError):
        LoggedAudit(receipt).statement()
    with pytest.raises(VerificationError):
        open_statement(receipt, keyring([KEY.public_key()]))


def _entries() -> list[bytes]:
    ended = LoggedReceipt(sign_receipt(Receipt("a" * 32, 5, "settled", "delivered"), RECEIPTS)).to_entry()
    found = Statement(1_767_225_600, "residue", residue=(Residue("ingest", "memory", 4096),))
    audits = [LoggedAudit(sign_statement(statement, KEY)).to_entry() for statement in (CLEAN, found, CLEAN)]
    return [audits[0], Grant("a" * 32, 5).to_entry(), audits[1], ended, audits[2]]


def test_a_recount_counts_leases_as_if_there_were_no_audits() -> None:
    count = recount(_entries(), receipt_keys=[RECEIPTS.public_key()])
    assert (count.grants, count.settled, count.open, count.conserved) == (1, 1, [], True)
    assert count.audits == {"clean": 2, "residue": 1}


def test_a_tally_counts_leases_as_if_there_were_no_audits() -> None:
    tally = Tally()
    for entry in _entries():
        tally.add(read_fact(entry))
    assert (tally.covered, tally.totals.granted, dict(tally.totals.ended)) == (5, 1, {("settled", "delivered"): 1})


@pytest.fixture
async def log(tmp_path: Path):
    made = Log.open(tmp_path / "log", origin=LOG.name, signer=LOG, clock=SystemClock())
    yield made
    await made.close()


async def test_a_statement_is_logged_once_however_often_it_is_sent(log: Log) -> None:
    clock = SystemClock()
    ledger = Ledger(log, RECEIPTS)
    audits, data = Audits(log, clock), sign_statement(Statement(round(clock.wall()), "clean"), KEY).to_json()
    assert [await audits.record(data), await audits.record(data)] == [0, 0]
    await ledger.admit("a" * 32, clock.wall())
    assert log.size == 2
    assert ledger.totals.granted == 1
    assert isinstance(parse_entry(log.entry(0)), LoggedAudit)


async def test_what_is_no_statement_of_now_is_refused(log: Log) -> None:
    audits = Audits(log, SystemClock())
    forged = sign(PAYLOAD_TYPE, b'{"photo":"..."}', KEY).to_json()
    receipt = sign_receipt(Receipt("a" * 32, 5, "settled", "delivered"), KEY).to_json()
    for data in (b"", b"{}", forged, receipt, b" " * (MAX_BYTES + 1)):
        with pytest.raises(Invalid, match="AUDIT_MALFORMED"):
            await audits.record(data)
    with pytest.raises(Invalid, match="AUDIT_MISDATED"):
        await audits.record(sign_statement(CLEAN, KEY).to_json())
    assert log.size == 0
