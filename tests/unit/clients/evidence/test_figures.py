"""A period's figures, counted from real logs: what belongs to it, what it carries in, and what it leaves open."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.evidence.figures import LONGEST, sentence
from clients.evidence.period import Period, parse_moment
from clients.evidence.report import count
from mesh.transparency.errors import VerificationError
from services.purge.audit import LoggedAudit, Statement, sign_statement
from services.purge.receipt import LoggedReceipt, parse_entry, sign_receipt
from tests.unit.clients.evidence.logs import HOUR, NOW, Shards, audit, grant, receipt

PERIOD = Period(NOW - 24 * HOUR, NOW)


def figures(shards: Shards, *replicas: int, period: Period = PERIOD, gap: int = 1800) -> dict[str, Any]:
    found, _ = count(shards.readers(*replicas), shards.trust(), period, now=NOW, audit_gap=gap)
    return found


def test_each_lease_belongs_to_the_period_once_and_it_adds_up(tmp_path: Path) -> None:
    shards, begin = Shards(tmp_path), PERIOD.since
    shards.add(
        0,
        grant(1, begin - 10), receipt(1, begin - 60),  # over before it
        grant(2, begin + 50), receipt(2, begin + 20, lived=70.0, outcome="expired"),  # carried in
        grant(3, NOW - 880), receipt(3, NOW - 959, lived=41.0),  # within
        grant(4, NOW - 500), receipt(4, NOW - 600, lived=None, outcome="revoked"),  # a crash has lost its begin
        grant(5, NOW + 60),  # lives
        grant(6, NOW + 100), receipt(6, NOW + 2, lived=9.0),  # ends after the period
        grant(8, NOW + 200), receipt(8, NOW + 90, lived=20.0),  # begins after it
    )  # fmt: skip
    shards.add(1, grant(7, NOW - 100))
    shards.add(0, receipt(7, NOW - 150, lived=12.25))  # granted in the one log, ended in the other
    found = figures(shards)
    assert found["conservation"] == {
        "carried_in": 1, "admitted": 5, "settled": 2, "revoked": 1, "expired": 1, "ended": 4, "open": 2,
        "balanced": True,
    }  # fmt: skip
    lives = found["residency"]
    assert (lives["counted"], lives["unknown"], lives["median_ms"]) == (3, 1, 41_000)
    assert (lives["longest_ms"], lives["longest_lease_seconds"], lives["longest_outcome"]) == (70_000, 100, "expired")
    assert sum(lives["bars"]) == 3
    assert sum(day["settled"] for day in found["days"]) == 2
    assert sum(day["admitted"] for day in found["days"]) == 5
    assert found["reasons"] == {"delivered": 2, "overdue": 1, "requested": 1}
    assert found["whole_log"]["granted"] == 8
    assert found["processors"] == {"mayfly/onnx": 4}
    assert found["custody"] == {"gateway": {"released": 4}, "render": {"released": 4}}
    said = sentence(found, PERIOD)
    assert "5 photos admitted, 4 ended (1 of them admitted before), 2 in the mesh at the end" in said
    assert said.endswith("the longest lived 70 s of its 100 s.")


def test_a_report_of_a_past_period_leaves_out_what_was_granted_after_it(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.add(
        0,
        grant(1, PERIOD.until - 1), grant(2, PERIOD.until + LONGEST - 1),  # may have begun in it
        grant(3, PERIOD.until + LONGEST), grant(4, PERIOD.until + 9 * HOUR),  # can't have
        grant(5, PERIOD.since - 1),  # was over before it
    )  # fmt: skip
    found = figures(shards, 0)
    assert (found["conservation"]["admitted"], found["conservation"]["open"]) == (2, 2)
    assert sum(day["admitted"] for day in found["days"]) == 2
    assert found["whole_log"]["open"] == 5, "the log is counted whole"


def test_of_equals_the_longest_is_the_same_whichever_comes_first(tmp_path: Path) -> None:
    entries = [
        (grant(1, NOW + 80), receipt(1, NOW - 20, lived=30.0, outcome="expired")),
        (grant(2, NOW + 10), receipt(2, NOW - 20, lived=30.0)),
        (grant(3, NOW + 10), receipt(3, NOW - 20, lived=30.0, outcome="revoked")),
    ]
    seen = set()
    for number, order in enumerate(itertools.permutations(entries)):
        shards = Shards(tmp_path / str(number))
        shards.add(0, *itertools.chain.from_iterable(order))
        lives = figures(shards, 0)["residency"]
        seen.add((lives["longest_ms"], lives["longest_lease_seconds"], lives["longest_outcome"]))
    assert seen == {(30_000, 60, "settled")}


def test_a_control_that_was_not_always_in_force_shows(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.add(
        0,
        grant(1, NOW), receipt(1, NOW - 10),
        grant(2, NOW), receipt(2, NOW - 9, lockdown={"gateway": ("no_swap",)}),
    )  # fmt: skip
    assert figures(shards, 0)["lockdown"] == {
        "gateway": {"receipts": 2, "controls": {"no_swap": 2, "seccomp": 1}},
        "render": {"receipts": 2, "controls": {"no_swap": 1}},
    }


def test_gaps_between_audits_are_named_and_so_is_a_period_without_any(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.add(0, grant(1, NOW), receipt(1, NOW - 10))
    period = Period(NOW - 2 * HOUR, NOW)
    (gap,) = figures(shards, 0, period=period)["audits"]["gaps"]
    assert gap["seconds"] == 2 * HOUR
    shards.add(0, audit(NOW - 3 * HOUR), audit(NOW - 100 * 60, residue=4096), audit(NOW - 20 * 60))
    audits = figures(shards, 0, period=period)["audits"]
    assert [(each["outcome"], each["bytes_found"]) for each in audits["statements"]] == [
        ("residue", 4096), ("incomplete", 0)
    ]  # fmt: skip
    assert [gap["seconds"] for gap in audits["gaps"]] == [80 * 60]
    assert audits["signatures_checked"]


@pytest.mark.parametrize("entries", [[receipt(9, NOW - 5)], [grant(9, NOW), receipt(9, NOW - 5), receipt(9, NOW - 4)]])
def test_an_end_without_a_grant_or_a_second_one_does_not_balance(tmp_path: Path, entries: list[bytes]) -> None:
    shards = Shards(tmp_path)
    shards.add(0, *entries)
    found = figures(shards, 0)
    assert not found["conservation"]["balanced"]
    assert found["whole_log"]["problems"]


STRANGER = Ed25519PrivateKey.generate()
FORGED = LoggedReceipt(sign_receipt(LoggedReceipt.receipt(parse_entry(receipt(9, NOW - 5))), STRANGER)).to_entry()  # type: ignore[arg-type]
STATEMENT = LoggedAudit(sign_statement(Statement(time=NOW - 60, outcome="incomplete"), STRANGER)).to_entry()


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([grant(9, NOW), FORGED], "No trusted key"),
        ([grant(9, NOW), receipt(9, NOW - 5), STATEMENT], "No trusted key"),
        ([grant(9, NOW - 61)], "is past its end and has no receipt"),
        ([grant(9, NOW - 61), grant(9, NOW - 61), receipt(9, NOW - 70)], "is past its end and has no receipt"),
        ([grant(9, NOW), receipt(9, NOW - 5), b"what is no entry"], ""),
    ],
)
def test_what_is_planted_in_a_log_is_found(tmp_path: Path, entries: list[bytes], problem: str) -> None:
    shards = Shards(tmp_path)
    shards.add(0, *entries)
    found = figures(shards, 0)
    assert not found["conservation"]["balanced"]
    assert problem in " ".join(found["whole_log"]["problems"])
    honest = Shards(tmp_path / "honest")
    honest.add(0, grant(9, NOW), receipt(9, NOW - 5), audit(NOW - 60))
    assert figures(honest, 0)["conservation"]["balanced"]


def test_an_empty_period_says_so(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.add(0, grant(1, NOW - 10), receipt(1, NOW - 60))
    found = figures(shards, 0, period=Period(NOW - 10 * 86_400, NOW - 9 * 86_400))
    assert found["conservation"]["balanced"] and not found["conservation"]["admitted"]
    assert found["residency"]["median_ms"] is None
    assert sentence(found, Period(0, 86_400)).endswith("0 photos admitted, 0 ended, 0 in the mesh at the end.")


def test_a_log_that_was_changed_is_no_evidence(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.add(0, grant(1, NOW), receipt(1, NOW - 10))
    bundle = next((shards.log(0) / "public" / "tile" / "entries").rglob("2"))
    bundle.write_bytes(bundle.read_bytes().replace(b"2027-01-15T08:00:00Z", b"2027-01-15T08:00:01Z"))
    with pytest.raises(VerificationError, match="root"):
        figures(shards, 0)


def test_a_period_is_said_in_words_or_dates() -> None:
    assert parse_moment("30d", NOW) == NOW - 30 * 86_400
    assert parse_moment("2027-01-15", NOW) == NOW - 8 * HOUR
    assert parse_moment("2027-01-15T08:00:00+00:00", 0) == NOW
    for wrong in ("", "30", "yesterday", "1y"):
        with pytest.raises(ValueError, match=r".*"):
            parse_moment(wrong, NOW)
    with pytest.raises(ValueError, match="before it begins"):
        Period(5, 5)
