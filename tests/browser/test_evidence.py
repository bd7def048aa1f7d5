"""The evidence page of a real mesh in a real browser: it is right, it follows by itself, and asks nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from clients.cli.main import run
from clients.evidence.keys import verifying
from clients.evidence.report import open_report
from clients.local.mesh import LocalMesh
from clients.local.public_keys import PublicKeys
from clients.verify import verify_bundle
from mesh.rules import RULES
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge.acl import acl_rules, arguments
from services.purge.evidence.app import POLICY
from services.purge.evidence.prometheus import state_query
from tests.browser.chromium import PHONE, visit
from tests.deploy.panels import get
from tests.deploy.programs import DEPLOY, program, read_yaml
from tests.deploy.prometheus import PrometheusServer
from tests.deploy.settings import SERVICES
from tests.e2e.phone import Phone, Upload

SCENE = "bright_day"
WATCHED = {
    rule["labels"]["rule"]
    for group in read_yaml(DEPLOY / "prometheus/rules.yml")["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
PURGE: dict[str, str] = {}
"""What purge is told at its next start."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A server whose administrator can switch persistence on; the embedded one's can't."""
    acl = acl_rules("purge", hashlib.sha256(b"for-purge").hexdigest()) + "user admin on >for-admin ~* +@all\n"
    with ValkeyServer(acl=acl, username="purge", password="for-purge", arguments=arguments(valkey=True)) as server:
        yield server


@pytest.fixture(scope="module")
def mesh(valkey: ValkeyServer, chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMesh]:
    """One for all of these tests. The first one is the first to send it a photo."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAYFLY_REDIS_URL", valkey.url)
        overrides = {"render": {"MAYFLY_RENDER_ENGINE": "null"}, "purge": PURGE}
        with LocalMesh(tmp_path_factory.mktemp("mesh"), overrides) as up:
            yield up


@pytest.fixture
async def phone(mesh: LocalMesh) -> AsyncIterator[Phone]:
    async with Phone(mesh) as connected:
        yield connected


@pytest.fixture(scope="module")
def photo() -> bytes:
    import matplotlib

    return (Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()


def url(mesh: LocalMesh, path: str = "") -> str:
    return f"http://{mesh.ops_address('purge')}/evidence{path}"


async def whole_trip(phone: Phone, photo: bytes) -> str:
    """Returns the photo_id of a photo that was delivered."""
    upload = await (await phone.render().start(SCENE)).upload(photo)
    await upload.until("seal")
    await upload.deliver()
    await upload.until("receipt")
    return upload.accepted.photo_id


async def reads(page: Any, selector: str, text: str, within: float = 15.0) -> None:
    """Until the element says that. AssertionError with what it says instead."""
    said: list[str] = []

    async def found() -> bool:
        said[:] = [await page.inner_text(selector)]
        return text in said[0]

    with contextlib.suppress(AssertionError):
        return await eventually(found, within=within, every=0.1)
    raise AssertionError(f"{selector} says {said[0]!r}, not {text!r}")


async def state_of(page: Any, rule: str) -> str:
    return (await page.inner_text(f"#{rule} .state")).split(" ", 1)[1]


async def test_it_follows_a_photo_without_being_asked_again(
    mesh: LocalMesh, phone: Phone, browser: Any, photo: bytes
) -> None:
    seen = await visit(browser, url(mesh))
    await reads(seen.page, "#sentence", "0 photos in the mesh now; 0 admitted in the last 24 h, 0 ended.")
    await reads(seen.page, ".as-of", "live")
    await seen.page.evaluate("window.sameDocument = true")
    await seen.page.click("#R3-query summary")

    upload: Upload = await (await phone.render().start(SCENE)).send(photo[:20_000])
    await reads(seen.page, "#sentence", "1 photo in the mesh now; 1 admitted in the last 24 h, 0 ended.")
    await eventually(lambda: seen.page.query_selector(".flow.lying .busy"), within=10, every=0.1)
    upload.hang_up()
    await reads(seen.page, "#sentence", "0 photos in the mesh now; 1 admitted in the last 24 h, 1 ended")
    await whole_trip(phone, photo)
    await reads(seen.page, "#sentence", "2 admitted in the last 24 h, 2 ended; the longest lived")
    await reads(seen.page, "#sentence", "of its 30 s.")
    drawn = await seen.page.text_content(".flow.lying")
    assert re.search(r"Settled\s*1.*Revoked\s*1.*Expired\s*0", drawn), drawn
    await reads(seen.page, "#log", "Entries\n4")

    assert await seen.page.evaluate("window.sameDocument"), "it was loaded again"
    assert await seen.page.get_attribute("#R3-query", "open") is not None, "what was opened stays open"
    assert (seen.complaints, seen.strangers()) == ([], [])
    assert seen.answers[0].headers["content-security-policy"] == POLICY
    assert await seen.page.locator(".rule").count() == len(RULES)


async def test_a_rule_turns_red_when_persistence_is_switched_on_and_green_again(
    mesh: LocalMesh, valkey: ValkeyServer, browser: Any
) -> None:
    seen = await visit(browser, url(mesh), width=PHONE)
    assert await state_of(seen.page, "R3") == "kept"
    assert "Since at least" in await seen.page.inner_text("#R3 .since")
    admin = redis.Redis.from_url(valkey.url_for("admin", "for-admin"))
    admin.config_set("save", "3600 1")
    try:
        await reads(seen.page, "#R3 .state", "broken")
        await reads(seen.page, "#summary", "Broken: R3 No disk")
        assert "CONFIG 'save'" in await seen.page.inner_text("#R3 .said")
        assert await state_of(seen.page, "R8") == "kept"
        assert "no photo is admitted" in await seen.page.inner_text("#R8 .said")
    finally:
        admin.config_set("save", "")
        admin.close()
    await reads(seen.page, "#R3 .state", "kept")
    assert (await seen.page.inner_text("#R3 .since")).startswith("Since 2"), "not: at least"
    wide = await seen.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE, "a phone's reader would have to scroll sideways"


async def test_without_javascript_it_says_the_same_as_of_a_time(mesh: LocalMesh, browser: Any) -> None:
    seen = await visit(browser, url(mesh), javascript=False)
    said = await seen.page.inner_text("#sentence")
    assert re.match(r"\d+ photos? in the mesh now; \d+ admitted in the last 24 h, \d+ ended", said), said
    assert re.search(r"As of \d\d:\d\d:\d\d UTC", await seen.page.inner_text(".as-of"))
    assert "reload" in await seen.page.inner_text("noscript")
    assert not any("live" in request.rpartition("/")[2] and ".js" not in request for request in seen.requests)


async def test_a_receipt_is_shown_with_its_proof_and_holds_offline(
    mesh: LocalMesh, phone: Phone, browser: Any, photo: bytes
) -> None:
    photo_id = await whole_trip(phone, photo)
    seen = await visit(browser, url(mesh))
    await eventually(lambda: _is_public(seen, mesh, photo_id), within=15, every=0.1)
    await reads(seen.page, ".as-of", "live")
    await seen.page.fill("#receipt", photo_id)
    await seen.page.click("button")
    await seen.page.wait_for_selector("#answer")
    assert "settled, delivered" in await seen.page.inner_text("#answer h3")
    assert photo_id in await seen.page.inner_text("#answer .facts")
    boxes = await seen.page.locator("svg.proof rect").count()
    hashes = await seen.page.locator("#hashes code").all_inner_texts()
    root = (await seen.page.inner_text("#log code:nth-of-type(1) >> nth=1")).strip()
    assert root in hashes and len(hashes) == len(set(hashes)) == boxes
    assert seen.complaints == []

    link = await seen.page.get_attribute("#answer a", "href")
    bundle = await (await seen.page.context.request.get(f"http://{mesh.ops_address('purge')}{link}")).body()
    keys = PublicKeys.of(mesh.state.root)
    assert keys is not None
    verified = verify_bundle(bundle, receipt_keys=[keys.receipts], log_vkey=keys.log_vkey)
    assert (verified.receipt.photo_id, verified.logged) == (photo_id, True)


async def test_a_question_learns_nothing_that_the_public_log_does_not_say(
    mesh: LocalMesh, phone: Phone, browser: Any
) -> None:
    upload = await phone.render().start(SCENE)
    living, never = upload.accepted.photo_id, "00" * 16
    answers = []
    for question in (living, never, "999999", '"><script>alert(1)</script>', "%22%3E", "x" * 300):
        seen = await visit(browser, url(mesh, f"?receipt={question}"))
        answers.append(await seen.page.locator("#answer").all_inner_texts())
        assert question not in await seen.page.content()
        assert seen.complaints == []
    assert answers[0] == answers[1] == answers[2] == answers[3] == answers[4] != []
    grant = await visit(browser, url(mesh, "?receipt=0"))
    assert "A grant" in await grant.page.inner_text("#answer")
    assert "attempts" not in json.dumps(answers)
    upload.hang_up()


@pytest.mark.timeout(180)
async def test_after_a_restart_with_prometheus_the_figures_are_the_same_and_every_rule_is_judged(
    mesh: LocalMesh, browser: Any, tmp_path: Path
) -> None:
    program("prometheus", "Debian: prometheus")
    before = await visit(browser, url(mesh), javascript=False)
    await eventually(lambda: _sentence(before), within=15, every=0.2)
    said = await before.page.inner_text("#sentence")
    with PrometheusServer(tmp_path, {name: mesh.ops_address(name) for name in SERVICES}) as prometheus:
        PURGE["MAYFLY_PURGE_PROMETHEUS_URL"] = prometheus.url
        await asyncio.to_thread(mesh.restart, "purge")
        await eventually(lambda: get(prometheus.url, "/api/v1/alerts")["alerts"] is not None, within=10)
        seen = await visit(browser, url(mesh))
        await reads(seen.page, "#sentence", said)
        for rule in {"R1", "R7", "R9"} & WATCHED:
            await reads(seen.page, f"#{rule} .state", "kept", within=60)
            assert "Since at least" in await seen.page.inner_text(f"#{rule} .since")
        assert await state_of(seen.page, "R5") == "not judged", "nobody has audited"
        await seen.page.click("#R3-query summary")
        behind = await seen.page.inner_text("#R3-query")
        for shown in ("MayflyRegistryUnsafe", "mayfly_lockdown_control", state_query("R3"), "purge’s controls"):
            assert shown in behind, "what was judged is not what is shown"
        # An alert of the restart may still be there for a moment.
        await eventually(lambda: _answers(prometheus) == [[0.0]] * len(RULES), within=30, every=0.2)
        await _report(mesh, tmp_path / "report.json", prometheus.url)
    await reads(seen.page, "#rules .note", "Prometheus does not answer", within=40)
    assert await state_of(seen.page, "R9") == "not judged"
    assert await state_of(seen.page, "R3") == "kept"


def _answers(prometheus: PrometheusServer) -> list[list[float]]:
    """What Prometheus says to the query that the page shows of each rule."""
    series = [get(prometheus.url, "/api/v1/query", query=state_query(rule.id))["result"] for rule in RULES]
    return [[float(each["value"][1]) for each in answered] for answered in series]


async def _is_public(seen: Any, mesh: LocalMesh, photo_id: str) -> bool:
    return bool((await seen.page.context.request.get(url(mesh, f"/receipt?receipt={photo_id}"))).ok)


async def _report(mesh: LocalMesh, out: Path, prometheus: str) -> None:
    """The command, as its owner gives it: no key, no log, no trust is named. It asks Prometheus each of its queries."""
    command = ["evidence", "--state", str(mesh.state.root), "--prometheus", prometheus]
    assert await asyncio.to_thread(run, [*command, "--since", "1h", "--out", str(out)]) == 0
    data = await asyncio.to_thread(out.read_bytes)
    made = open_report(data, verifying(None, mesh.state.root))
    flow = made.figures["conservation"]
    assert flow["balanced"] and flow["ended"] == made.figures["whole_log"]["granted"] > 0
    answers = made.value["prometheus"]["answers"]
    assert answers and not any("error" in answer for answer in answers.values()), answers
    assert await asyncio.to_thread(run, [*command, "--check", str(out)]) == 0


async def _sentence(seen: Any) -> bool:
    await seen.page.reload()
    return "0 photos in the mesh now" in await seen.page.inner_text("#sentence")
