"""What all tests share: in CI nothing is skipped."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest

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
