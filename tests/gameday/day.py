"""A game day: something is broken, the pager is told, its runbook is walked, and the pager is told that it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mesh.testing.wait import eventually
from tests.alerts.site import prometheus_of, running
from tests.deploy.alertmanager import AlertmanagerServer, Pager
from tests.gameday.drill import Drill
from tests.gameday.drills import DRILLS
from tests.gameday.hands import Hands

WITHIN = 60.0  # seconds that each step may take on a busy machine
Say = Callable[[str], None]


async def game_day(folder: Path, say: Say) -> None:
    """All drills, one after the other. Raises AssertionError with the step that didn't do what its runbook says."""
    began = time.monotonic()
    for name in ("site", "alertmanager"):
        (folder / name).mkdir()
    with (
        Pager() as pager,
        AlertmanagerServer(folder / "alertmanager", pager) as manager,
        running(folder / "site") as site,
    ):
        say(f"{time.monotonic() - began:5.1f} s  a mesh, Prometheus, Alertmanager and a pager are there")
        with prometheus_of(site, alertmanager=manager.address) as prometheus:
            for drill in DRILLS:
                await _walk(drill, Hands(site, prometheus), pager, say)
    say(f"{time.monotonic() - began:5.1f} s  {len(DRILLS)} runbooks walked")


async def _walk(drill: Drill, hands: Hands, pager: Pager, say: Say) -> None:
    say(f"\n{drill.alert}: {drill.story}")
    began = time.monotonic()

    def tell(what: str) -> None:
        say(f"{time.monotonic() - began:5.1f} s  {what}")

    async with drill.cause(hands):
        await _until(lambda: pager.told("pager", drill.alert, "firing"), f"the pager is not told of {drill.alert}")
        tell("the pager rings")
        for step in drill.confirm:
            tell(f"confirm  {await step.take(drill.alert, hands)}")
        tell(f"remedy   {await drill.remedy.take(drill.alert, hands)}")
        for step in drill.close:
            tell(f"close    {await step.take(drill.alert, hands)}")
        await _until(lambda: pager.told("pager", drill.alert, "resolved"), f"{drill.alert} does not clear")
        tell("the pager says that it is over")


async def _until(condition: Callable[[], bool], otherwise: str) -> None:
    with suppress(AssertionError):
        await eventually(condition, within=WITHIN, every=0.1)
    assert condition(), otherwise
