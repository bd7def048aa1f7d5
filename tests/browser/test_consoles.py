"""A mesh with all who watch it: each panel shows something, each alert works, and each console is seen in a browser.

One mesh serves all of this; MAYFLY_SCREENSHOTS=docs/images also keeps what was seen, for docs/dashboards.md.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from clients.local.mesh import LocalMesh
from clients.observe.alerts import alerts, firing
from clients.observe.check import CANARIES, CAUSED, OVERRIDES, Report, check
from clients.observe.prometheus import get
from clients.observe.stack import Stack, watched
from clients.observe.workload import photo
from deploy.dashboards.__main__ import BOARDS
from deploy.dashboards.panel import Board
from mesh.testing.wait import eventually
from tests.browser.chromium import PHONE, Visit, visit
from tests.deploy.programs import program

SCREENSHOTS = os.environ.get("MAYFLY_SCREENSHOTS")
_BOARDS = [pytest.param(board, id=board.name) for board in BOARDS]
_SPAN = "5m" if SCREENSHOTS else "15m"
"""What a console shows: as much as reads well, or all that was done, also on a machine that takes its time."""
_STARTS_WITHIN = 180  # seconds, of a mesh (clients/local/launcher.py)
_CHECKED_WITHIN = 300  # what ``check`` waits for, one after the other, and its photos
pytestmark = pytest.mark.timeout(_STARTS_WITHIN + _CHECKED_WITHIN)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for name in ("prometheus", "prometheus-alertmanager"):
        program(name, f"Debian: {name}")
    folder = tmp_path_factory.mktemp("observe")
    with (
        LocalMesh(tmp_path_factory.mktemp("mesh"), OVERRIDES) as mesh,
        watched(mesh, folder, canaries=CANARIES) as started,
    ):
        yield started


@pytest.fixture(scope="module")
def report(stack: Stack) -> Report:
    """Of the check, which sends photos: whoever looks at panels needs it."""
    return asyncio.run(check(stack, photo()))


def test_every_panel_shows_something_and_an_alert_fires_and_clears(report: Report, stack: Stack) -> None:
    assert report.faults == []
    assert report.panels_ok == report.panels == sum(len(board.panels) for board in BOARDS)
    assert report.alerts_ok == report.alerts
    assert report.fired and report.cleared
    assert firing(stack.prometheus.url) == set()
    (unaccounted,) = get(stack.prometheus.url, "/api/v1/query", query="mayfly:leases_unaccounted")["result"]
    assert float(unaccounted["value"][1]) == 0
    assert sum(report.photos.values()) == 7
    assert f"{CAUSED} fired and cleared" in report.line()


@pytest.mark.parametrize("board", _BOARDS)
async def test_a_console_shows_every_panel(board: Board, report: Report, stack: Stack, browser) -> None:
    seen = await _drawn(await visit(browser, f"{stack.console(board.name)}?span={_SPAN}"))
    assert (seen.complaints, seen.strangers()) == ([], [])
    assert {answer.status for answer in seen.answers} == {200}
    assert await seen.page.inner_text("h1") == board.title
    assert "No alert fires" in await seen.page.inner_text(".banner")
    assert (
        await seen.page.eval_on_selector_all(".chart[data-failed]", "all => all.map(one => one.dataset.failed)") == []
    )
    shown = await seen.page.eval_on_selector_all("section.panel", _SHOWN)
    assert {panel["title"] for panel in shown} == {panel.title for panel in board.panels}
    assert [panel["title"] for panel in shown if not panel["values"]] == []
    assert [panel["title"] for panel in shown if panel["empty"]] == []
    if SCREENSHOTS:
        _keep(await seen.page.screenshot(full_page=True), f"{board.name}.png")


async def test_a_console_says_everything_without_javascript(report: Report, stack: Stack, browser) -> None:
    for board in BOARDS:
        seen = await visit(browser, stack.console(board.name), javascript=False)
        text = await seen.page.inner_text("main")
        assert text.count("no data") == 0
        assert [panel.title for panel in board.panels if panel.title not in text] == []


async def test_a_console_fits_a_phone_at_night(report: Report, stack: Stack, browser) -> None:
    for board in BOARDS:
        seen = await _drawn(await visit(browser, stack.console(board.name), width=PHONE, dark=True))
        assert await seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE
        if SCREENSHOTS and board == BOARDS[0]:
            _keep(await seen.page.screenshot(), f"{board.name}-phone.png")


async def test_a_console_tells_of_an_alert_at_once(report: Report, stack: Stack, browser) -> None:
    """Of a service that is gone, first in the banner, and beside what it was watching."""
    name = "MayflyServiceDown"
    stack.mesh.kill("ingest")
    try:
        await eventually(lambda: _state(stack, name) == "pending", within=60, every=0.2)
        seen = await visit(browser, stack.console("mesh"))
        assert f"{name} is about to fire" in await seen.page.inner_text(".banner")
        assert (await seen.page.inner_text('[data-panel="Answers"] .bad')).split() == ["no", "ingest"]
        await eventually(lambda: _state(stack, name) == "firing", within=60, every=0.2)
        assert firing(stack.prometheus.url) == {name}
        seen = await visit(browser, stack.console("mesh"))
        assert f"{name} fires" in await seen.page.inner_text(".banner.bad")
        assert f"{name} fires" in await seen.page.inner_text('[data-panel="Answers"]')
        assert not await seen.page.query_selector('[data-panel="Queue"] .firing')
    finally:
        stack.mesh.restart("ingest")


# A panel's numbers as a reader sees them; "–" stands for none. A graph also counts as empty if nothing is drawn in it.
_SHOWN = """all => all.map(panel => ({
  title: panel.dataset.panel,
  values: [...panel.querySelectorAll('.value b, .bars b, .legend b, .chart path[stroke]')]
    .filter(one => one.tagName === 'path' ? one.getAttribute('d') : /[0-9]|yes|no|kept/.test(one.textContent)).length,
  empty: panel.querySelectorAll('.nodata').length,
}))"""


async def _drawn(seen: Visit) -> Visit:
    await seen.page.wait_for_selector("body[data-ready]")
    return seen


def _state(stack: Stack, name: str) -> str:
    return next(alert.state for alert in alerts(stack.prometheus.url) if alert.name == name)


def _keep(picture: bytes, name: str) -> None:
    """As few bytes as a page of few colours takes."""
    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB").quantize(200, dither=Image.Dither.NONE)
        small.save(Path(SCREENSHOTS or "") / name, optimize=True)
