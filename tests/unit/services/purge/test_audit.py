"""Audit statements: what they can say, that they are signed, and what they are to those who read the log."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    PAYLOAD_TYPE,
    PLACES,
    UNREACHABLE,
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
SEARCHED = {"memory": 1 << 30, "file": 1, "redis": 1, "log": 1, "metrics": 1}
CLEAN = Statement(
    1_767_225_600,
    "clean",
    {"delivered": 7, "expired": 1},
    SEARCHED,
    (),
    True,
    memory={"ingest": 1 << 30},
    control=1000,
)

_words = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True)
_counts = st.integers(0, 1 << 60)
_residues = st.lists(st.builds(Residue, _words, st.sampled_from(sorted(PLACES)), st.integers(1, 1 << 60)), max_size=4)


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    residue, time = tuple(draw(_residues)), draw(st.integers(0, 4_000_000_000))
    if not residue and draw(st.booleans()):
        return replace(CLEAN, time=time, id=draw(st.integers(0, (1 << 128) - 1).map("{:032x}".format)))
    memory = draw(st.dictionaries(_words, st.integers(0, 1 << 50), max_size=4))
    unreachable = draw(st.sets(st.sampled_from(sorted(UNREACHABLE))))
    places = st.sampled_from(sorted(PLACES - unreachable - {"memory"}))
    return Statement(
        time,
        "residue" if residue else "incomplete",
        draw(st.dictionaries(_words, _counts, max_size=4)),
        draw(st.dictionaries(places, _counts)) | {"memory": sum(memory.values())},
        residue,
        draw(st.sampled_from([None, True, False])),
        memory=memory,
        not_searched=tuple(sorted(unreachable)),
        control=draw(st.integers(0, 1000)),
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
        lambda: Statement(0, "incomplete", {"GPS 48.1, 11.5": 1}),
        lambda: Statement(0, "incomplete", searched={"attic": 1}),
        lambda: Statement(0, "incomplete", searched={"redis": -1}),
        lambda: Statement(0, "incomplete", searched={"memory": 9}, memory={"ingest": 8}),
        lambda: Statement(0, "incomplete", memory={"/usr/bin/ingest": 0}),
        lambda: Statement(0, "incomplete", control=1001),
        lambda: Statement(0, "incomplete", not_searched=("memory",)),
        lambda: Statement(0, "incomplete", not_searched=("redis", "log")),
        lambda: Statement(0, "incomplete", searched={"log": 1}, not_searched=("log",)),
        lambda: Statement(0, "incomplete", id="IMG_1"),
        lambda: replace(CLEAN, residue=(Residue("ingest", "memory", 1),)),
        lambda: Statement(0, "residue"),
        lambda: Residue("ingest", "memory", 0),
        lambda: Residue("/tmp/baby.jpg", "file", 1),
        lambda: Residue("ingest", "IMG_1.jpg", 1),
    ],
)
def test_nothing_else_can_be_said(made) -> None:
    with pytest.raises(ValueError, match=r"."):
        made()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"canaries": {}}, "no canary was sent"),
        ({"canaries": {"delivered": 7, "expired": 0}}, "no canary ended as expired"),
        *(({"searched": {**SEARCHED, place: 0}}, f"place: {place}") for place in ("file", "redis", "log", "metrics")),
        ({"searched": {}, "memory": {}}, "place: memory"),
        ({"memory": {"ingest": 1 << 30, "render": 0}}, "no memory of render"),
        ({"reconciled": None}, "not counted"),
        ({"reconciled": False}, "disagree"),
        ({"control": 989}, "98.9%"),
    ],
)
def test_clean_is_what_looked_everywhere_and_adds_up(changed: dict[str, Any], says: str) -> None:
    """Neither made nor read otherwise, whoever has signed it."""
    (sentence, *_) = replace(CLEAN, outcome="incomplete", **changed).shortcomings()
    assert says in sentence
    with pytest.raises(ValueError, match="not clean"):
        replace(CLEAN, **changed)
    with pytest.raises(VerificationError):
        Statement.from_json(to_json(json.loads(CLEAN.to_json()) | changed))


def test_what_is_declared_to_be_out_of_reach_need_not_be_searched() -> None:
    here = {place: size for place, size in SEARCHED.items() if place != "log"}
    said = replace(CLEAN, searched=here, not_searched=("log",))
    assert json.loads(said.to_json())["not_searched"] == ["log"]
    with pytest.raises(ValueError, match="not clean"):
        replace(CLEAN, searched=here)


def test_the_time_is_rounded_to_a_minute() -> None:
    assert Statement(1_767_225_629, "incomplete").time == Statement(1_767_225_571, "incomplete").time == 1_767_225_600


@pytest.mark.parametrize(
    "changed",
    [{"type": "https://mayfly.dev/audit/v2"}, {"more": 1}, {"time": "yesterday"}, {"reconciled": 1}, {"canaries": []}],
)
def test_unknown_fields_and_values_are_refused(changed: dict[str, object]) -> None:
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
    statements = (CLEAN, found, replace(CLEAN, id="c" * 32))
    audits = [LoggedAudit(sign_statement(statement, KEY)).to_entry() for statement in statements]
    return [audits[0], Grant("a" * 32, 5).to_entry(), audits[1], ended, audits[2]]


def test_a_recount_counts_leases_as_if_there_were_no_audits() -> None:
    count = recount(_entries(), receipt_keys=[RECEIPTS.public_key()])
    assert (count.grants, count.settled, count.open, count.conserved) == (1, 1, [], True)
    assert (count.audits, count.audits_checked) == ({"clean": 2, "residue": 1}, False)


def test_a_statement_that_is_there_twice_is_a_problem_in_whichever_log() -> None:
    count = recount([*_entries(), *_entries()[:1]])
    assert count.audits == {"clean": 2, "residue": 1}
    assert not count.conserved
    assert any(f"statement {CLEAN.id} was there before" in problem for problem in count.problems)


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
    audits, data = Audits(log, clock), sign_statement(replace(CLEAN, time=round(clock.wall())), KEY).to_json()
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
