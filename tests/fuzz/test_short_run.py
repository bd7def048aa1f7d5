"""A short run of each target, the same every time; the long ones are in docs/scrubbing.md."""

from __future__ import annotations

import pytest

from tests.fuzz.campaign import run
from tests.fuzz.corpus import FORMATS

EXECUTIONS = 5_000


@pytest.mark.parametrize("format", FORMATS)
def test_short_run(format: str) -> None:
    tally = run(format, EXECUTIONS, seed=0)
    assert tally.findings == {}
    assert tally.executions == EXECUTIONS
    assert tally.accepted > EXECUTIONS // 20, "the mutants reach beyond the first check"
    assert len(tally.refused) >= 3, "and are refused for several reasons"
    assert tally.slowest < 2.0, "CPU seconds of the slowest execution"
