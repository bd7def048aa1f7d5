"""The last day's account: right by the minute, over restarts, and for what a crash has lost."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.purge.audit import LoggedAudit, Statement, sign_statement
from services.purge.day import RESIDENCY, Day, Longest
from services.purge.receipt import Receipt
from services.purge.tally import Audited
from tests.unit.services.purge.test_ledger import open_ledger

NOW = 1_800_000_000  # a full minute
DAY = 86_400


def test_what_ended_within_a_day_counts_and_what_ended_before_does_not() -> None:
    day = Day()
    day.add("settled", NOW - DAY - 61, NOW - DAY - 70, 9.0, NOW)  # left the day a second ago
    day.add("settled", NOW - DAY + 30, NOW - DAY - 120, 150.0, NOW - DAY + 180)  # was admitted before it
    day.add("settled", NOW - 50, NOW - 91, 41.0, NOW + 29)
    day.add("revoked", NOW, NOW - 2, 2.0, NOW + 118)
    totals = day.totals(NOW + 5)
    assert (totals.admitted, totals.carried, totals.ended) == (2, 1, {"settled": 2, "revoked": 1})
    assert totals.longest == Longest(150.0, 300)
    assert dict(zip(RESIDENCY, totals.residency, strict=False))[300] == 1 and sum(totals.residency) == 3
    assert day.totals(NOW + DAY + 60).ends == 0
    assert Day().totals(NOW) == Day().totals(0)


def test_bars_include_their_bounds_and_the_last_one_the_rest() -> None:
    day = Day()
    for seconds in (1.0, 1.001, 600.0, 600.001):
        day.add("expired", NOW, NOW - 1, seconds, NOW)
    assert day.totals(NOW).residency == (1, 1, *[0] * (len(RESIDENCY) - 3), 1, 1)


def test_what_a_crash_has_lost_is_counted_as_unknown_and_admitted_at_its_granted_end() -> None:
    day = Day()
    day.add("expired", NOW, None, None, NOW - 60)
    day.add("expired", NOW, None, None, None)
    totals = day.totals(NOW)
    assert (totals.admitted, totals.unknown, totals.longest, sum(totals.residency)) == (2, 2, None, 0)


@pytest.mark.parametrize("order", list(itertools.permutations([(0, 100), (0, 90), (60, None), (120, 80)])))
def test_of_two_that_lived_as_long_the_shorter_lease_counts_whichever_comes_first(
    order: tuple[tuple[int, int | None], ...],
) -> None:
    day = Day()
    for ago, left in order:
        day.add("settled", NOW - ago, NOW - ago - 5, 5.0, None if left is None else NOW - ago + left)
    assert day.totals(NOW).longest == Longest(5.0, 85)


def test_memory_is_bounded_and_a_clock_that_was_wrong_does_not_empty_the_day() -> None:
    day = Day()
    day.add("settled", NOW + 10 * DAY, NOW + 10 * DAY, 1.0, None)
    for minute in range(3000):
        day.add("settled", NOW + 60 * minute, NOW + 60 * minute, 1.0, None)
    assert len(day.rows()) < 1700
    assert day.totals(NOW + 60 * 2999).ends == 1441


def test_rows_say_all_of_it_stand_still_and_follow_what_changes() -> None:
    day = Day()
    day.add("settled", NOW, NOW - 1, 0.5, NOW + 1)
    day.add("revoked", NOW, NOW - 1, None, None)
    rows, before = day.rows(), day.totals(NOW)
    written = json.dumps(rows)
    day.add("settled", NOW, NOW - 1, 99.0, NOW + 1)
    assert json.dumps(rows) == written
    assert Day.of_rows(json.loads(written)).totals(NOW) == before != day.totals(NOW)
    again = Day.of_rows(json.loads(json.dumps(day.rows())))
    assert again.totals(NOW) == day.totals(NOW)
    again.add("expired", NOW + 60, NOW, 1.0, None)
    assert Day.of_rows(json.loads(json.dumps(again.rows()))).totals(NOW + 60) == again.totals(NOW + 60)


@pytest.mark.parametrize("snapshot", [True, False])
async def test_a_restart_knows_the_day_and_the_last_audit(tmp_path: Path, snapshot: bool) -> None:
    ledger = open_ledger(tmp_path / "log")
    for number in range(3):
        await ledger.admit(f"{number:032x}", NOW + 100)
    ended = [
        Receipt(f"{number:032x}", NOW + number, "settled", "delivered", admitted_time=NOW - 20, residency_seconds=20.5)
        for number in range(2)
    ]
    await ledger.issue_many(ended)
    statement = LoggedAudit(sign_statement(Statement(time=NOW, outcome="incomplete"), Ed25519PrivateKey.generate()))
    index = await ledger.log.append(statement.to_entry(), Audited("incomplete"))
    assert ledger.tally is not None and ledger.tally.audit == index
    before = ledger.tally.day.totals(NOW + 60)
    await ledger.log.close()
    if not snapshot:
        (tmp_path / "log" / "open").unlink()
    again = open_ledger(tmp_path / "log")
    assert again.tally is None
    again.history()
    assert again.tally is not None and again.tally.audit == index
    assert again.tally.day.totals(NOW + 60) == before
    assert (before.admitted, before.ended, before.longest) == (2, {"settled": 2}, Longest(20.5, 120))
    await again.log.close()
