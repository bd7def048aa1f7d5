"""The game day goes as docs/game-day.md says, and a runbook that says something else is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.programs import ROOT, program
from tests.gameday.day import game_day
from tests.gameday.drill import Step
from tests.gameday.drills import DRILLS
from tests.gameday.hands import Hands


@pytest.mark.timeout(240)
async def test_three_runbooks_are_walked_and_the_pager_is_told_each_time(tmp_path: Path) -> None:
    program("prometheus", "Debian: prometheus")
    report: list[str] = []
    await game_day(tmp_path, report.append)
    for drill in DRILLS:
        assert f"\n{drill.alert}: {drill.story}" in report
    assert sum("the pager rings" in line for line in report) == len(DRILLS)
    assert sum("the pager says that it is over" in line for line in report) == len(DRILLS)


async def test_a_step_must_stand_in_its_runbook() -> None:
    async def nothing(_: Hands) -> str:
        return ""

    with pytest.raises(AssertionError, match="doesn't say: `FLUSHALL`"):
        await Step("`FLUSHALL`", nothing).take("MayflyServiceDown", None)  # type: ignore[arg-type]


def test_the_page_names_the_drills() -> None:
    page = (ROOT / "docs/game-day.md").read_text("utf-8")
    for drill in DRILLS:
        assert f"| [{drill.alert}](runbooks/{drill.alert}.md) | {drill.story} |" in page
