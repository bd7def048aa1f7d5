"""What all tests share: in CI nothing is skipped."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator

import pytest

from mesh.instruments import withheld

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As where a shell started this in the background. Children would inherit it, and some are to be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, object, None]:
    """With MAYFLY_NO_SKIP set (in CI), a skip is a failure: the machine lacks what it should have."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and os.environ.get("MAYFLY_NO_SKIP") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes and functions by their argument's name: workers that share a run must call each test the same."""
    return argname if isinstance(val, bytes) or "<" in getattr(val, "__qualname__", "") else None


class Unlisted(AssertionError):
    """A metric was asked to say what isn't on its list. In production that is counted, and not said."""


@pytest.fixture(autouse=True)
def only_listed_values(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Metrics say nothing in a test that isn't declared; also where the code would survive the error."""
    asked: list[str] = []

    def refuse(metric: str) -> None:
        asked.append(metric)
        raise Unlisted(metric)

    monkeypatch.setattr(withheld, "withhold", refuse)
    yield
    assert asked == [], "metrics were asked for values that they don't list"
