"""The policy matrix is whole, and a cell that is empty or dangling is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tools import policy

PROMISED = 12
"""Promises of the privacy policy."""


def test_the_matrix_is_whole_and_the_page_is_made_of_it() -> None:
    promises = policy.read()
    assert list(policy.faults(promises)) == []
    assert len(promises) == len({promise["id"] for promise in promises}) == PROMISED
    assert policy.PAGE.read_text("utf-8") == policy.page(promises)


@pytest.mark.parametrize("field", ["rules", "how", "code", "test", "metric", "alert"])
def test_an_empty_cell(field: str) -> None:
    assert _faults(lambda keeps: keeps.update({field: type(keeps[field])()})) == [f"not-stored, 1: `{field}` is empty"]
    assert _faults(lambda keeps: keeps.pop(field)) == [f"not-stored, 1: `{field}` is empty"]


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("rules", ["R10"], "there is no rule R10"),
        ("code", "mesh/nowhere.py::apply", "`code`: there is no mesh/nowhere.py::apply"),
        ("code", "mesh/lockdown/locking.py::nothing", "`code`: there is no mesh/lockdown/locking.py::nothing"),
        ("code", "mesh/lockdown/locking.py", "`code`: there is no mesh/lockdown/locking.py"),
        ("test", "mesh/lockdown/locking.py::apply", "`test`: there is no mesh/lockdown/locking.py::apply"),
        ("test", "mesh/lockdown/locking.py::*", "`test`: there is no mesh/lockdown/locking.py::*"),
        ("metric", "mayfly_no_such_thing", "`metric`: nothing emits mayfly_no_such_thing"),
    ],
)
def test_a_dangling_cell(field: str, value: object, fault: str) -> None:
    assert _faults(lambda keeps: keeps.update({field: value})) == [f"not-stored, 1: {fault}"]


def test_an_alert_that_nothing_fires() -> None:
    assert _faults(lambda keeps: keeps.update(alert="MayflyNoSuchThing")) == [
        "not-stored, 1: `alert`: nothing fires MayflyNoSuchThing",
        "not-stored, 1: `alert`: MayflyNoSuchThing has no runbook",
    ]


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"rules": ["R9"]}, ["`alert`: MayflyLockdownIncomplete is about R3, which is not among the rules"]),
        ({"rules": ["service", "R3"]}, []),
        ({"alert": "MayflyPicturesUnmarked"}, [
            "`alert`: MayflyPicturesUnmarked is about service, which is not among the rules",
            "`alert`: MayflyPicturesUnmarked does not read mayfly_lockdown_control",
        ]),
        ({"metric": "mayfly_leases_ended_total"}, [
            "`alert`: MayflyLockdownIncomplete does not read mayfly_leases_ended_total"
        ]),
        # Through what rules have recorded of a histogram, one of another.
        ({"rules": ["R4"], "alert": "MayflyResidencyBurn", "metric": "mayfly_residency_seconds"}, []),
        ({"rules": ["R6"], "alert": "MayflyGrantWithoutEnd", "metric": "mayfly_log_open_grants"}, []),
        ({"rules": ["R6"], "alert": "MayflyGrantWithoutEnd", "metric": "mayfly_leases_granted_total"}, [
            "`alert`: MayflyGrantWithoutEnd does not read mayfly_leases_granted_total"
        ]),
    ],
)  # fmt: skip
def test_an_alert_that_would_not_say_it(changes: dict[str, object], faults: list[str]) -> None:
    assert _faults(lambda keeps: keeps.update(changes)) == [f"not-stored, 1: {fault}" for fault in faults]


def test_what_stands_in_quotes_is_not_read() -> None:
    assert policy._read('up{job="mayfly_leases"} > 0').isdisjoint({"mayfly_leases"})


def test_the_check_fails_for_a_row_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    promises = copy.deepcopy(policy.read())
    assert policy.main(["--check"]) == 0
    promises[0]["keeps"][0]["rules"] = ["R9"]
    monkeypatch.setattr(policy, "read", lambda: promises)
    assert policy.main(["--check"]) == 1
    assert "is about R3, which is not among the rules" in capsys.readouterr().err


def test_a_field_that_nobody_knows_and_a_promise_that_nothing_keeps() -> None:
    assert _faults(lambda keeps: keeps.update(metrics="x")) == ["not-stored, 1: `metrics` is unknown"]
    promises = policy.read()
    promises[0]["keeps"] = []
    assert "not-stored: `keeps` is empty" in list(policy.faults(promises))
    assert "there are no promises" in list(policy.faults([]))


def test_a_rule_that_no_promise_rests_on() -> None:
    promises = [promise for promise in policy.read() if promise["id"] == "no-location"]
    assert list(policy.faults(promises)) == [f"no promise rests on R{n}" for n in (1, 2, 3, 4, 5, 6, 8, 9)]


def _faults(spoil: Callable[[dict[str, Any]], object]) -> list[str]:
    promises = copy.deepcopy(policy.read())
    spoil(promises[0]["keeps"][0])
    return list(policy.faults(promises))
