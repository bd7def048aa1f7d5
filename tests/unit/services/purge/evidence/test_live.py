"""The live stream over a real ops server: so many readers and no more, and a place is free once its reader has gone."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from mesh.clock import SystemClock
from mesh.health import Health
from mesh.ops import OpsServer
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge.audit import LoggedAudit, Residue, Statement, sign_statement
from services.purge.evidence.app import POLICY, PREFIX, EvidenceApp
from services.purge.evidence.audits import LastAudit
from services.purge.evidence.checkpoints import Heads
from services.purge.evidence.live import Live
from services.purge.evidence.lookup import Lookup
from services.purge.evidence.own import Own, State
from services.purge.evidence.view import View
from services.purge.evidence.watch import Watch
from services.purge.tally import Audited
from tests.unit.services.purge.desk import ORIGIN, Desk, Holder, desk
from tests.unit.services.purge.test_ledger import KEY

READERS = 3


@dataclass
class Page:
    """purge, its page, and where it is."""

    purge: Desk
    watch: Watch
    own: Own
    live: Live
    ops: OpsServer

    def open(self, path: str, method: str = "GET") -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.ops.address, timeout=10)
        connection.request(method, PREFIX + path)
        return connection.getresponse()

    async def read(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
        def whole() -> tuple[int, dict[str, str], str]:
            response = self.open(path, method)
            return response.status, dict(response.headers), response.read().decode()

        return await asyncio.to_thread(whole)


@pytest.fixture
async def page(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Page]:
    clock, ops = SystemClock(), OpsServer("127.0.0.1:0", CollectorRegistry(), Health())
    async with desk(valkey.url, tmp_path / "log") as purge:
        audits = LastAudit(purge.core.ledger)
        own = Own(purge.core, audits, {"seccomp": True}, clock)
        watch = Watch(own, clock)
        view = View(purge.core, watch, Heads(purge.log, []), audits)
        live = Live(view, watch, readers=READERS)
        look = Lookup(purge.core.ledger)
        ops.mount(PREFIX, EvidenceApp(view, live, look, replica="purge-0", origin=ORIGIN, others=["other/log"]))
        await ops.start()
        await watch.start()
        yield Page(purge, watch, own, live, ops)
        await watch.stop()
        await ops.stop()


def events(response: http.client.HTTPResponse, wanted: str) -> dict[str, Any]:
    """Reads on to the first event that has this piece."""
    while line := response.readline():
        if line.startswith(b"data: ") and wanted in (pieces := json.loads(line[6:])):
            return pieces
    raise AssertionError("the stream has ended")


async def test_a_reader_gets_what_changes_and_no_more_readers_than_may_be(page: Page) -> None:
    streams = [await asyncio.to_thread(page.open, "/live") for _ in range(READERS)]
    first = await asyncio.to_thread(events, streams[0], "sentence")
    assert "0 photos" in first["sentence"] and "rules" in first
    status, headers, _ = await page.read("/live")
    assert (status, headers["Retry-After"]) == (503, "30")

    await page.purge.grant()
    changed = await asyncio.to_thread(events, streams[0], "sentence")
    assert "1 photo</strong>" in changed["sentence"].replace(" in the mesh now", "")
    assert "audit" not in changed, "what has not changed is not sent again"

    streams[1].close()
    await eventually(lambda: page.live.readers == READERS - 1, within=15, every=0.05)
    again = await asyncio.to_thread(page.open, "/live")
    assert again.status == 200

    await page.watch.stop()
    await eventually(lambda: not page.live.readers, within=10, every=0.05)


async def test_every_answer_has_the_policy_and_nothing_else_is_there(page: Page) -> None:
    for path in ("", "/", "/style.css", "/live.js", "/icon.svg", "/nothing", "/receipt?receipt=0", "/../own.py"):
        status, headers, _ = await page.read(path)
        assert headers["Content-Security-Policy"] == POLICY
        assert status == (404 if path in ("/nothing", "/receipt?receipt=0", "/../own.py") else 200), path
    assert (await page.read("", "POST"))[0] == 405
    assert (await page.read("", "HEAD"))[2] == "" == (await page.read("/live", "HEAD"))[2]
    assert page.live.readers == 0
    body = (await page.read(""))[2]
    assert "<code>purge-0</code>" in body and "<code>other/log</code>" in body
    assert "style=" not in body and "onclick" not in body and "<script>" not in body


async def test_what_is_not_under_a_checkpoint_yet_is_not_found(page: Page) -> None:
    grant = await page.purge.grant()
    await page.purge.core.endings.revoke(grant.photo_id, "requested")
    await page.purge.log.integrate()
    assert "A receipt" in (await page.read(f"?receipt={grant.photo_id}"))[2]
    assert "The log’s entry of this receipt is number 1 of 2" in (await page.read(f"?receipt={grant.photo_id}"))[2]
    asked = (await page.read("?receipt=0"))[2]
    assert "A grant" in asked and "The log’s entry of this grant is number 0 of 2" in asked
    assert "0 the grant" in asked and "the receipt</b>" not in asked
    size = page.purge.log.integrated_size
    assert "Nothing is known" in (await page.read(f"?receipt={size}"))[2]


async def test_what_purge_sees_of_each_rule(page: Page) -> None:
    assert page.own.look()["R4"].state is State.UNKNOWN, "nobody reports"
    holders = [await Holder(page.purge.core, service).connect() for service in ("gateway", "ingest", "render")]
    found = page.own.look()
    for rule in ("R2", "R3", "R4", "R6", "R8"):
        assert found[rule].state is State.KEPT, (rule, found[rule])
    assert found["R5"].state is State.UNKNOWN
    assert "onnx" in found["R9"].sentence
    for outcome, residue, state in (
        ("residue", (Residue("ingest", "memory", 4096),), State.BROKEN),
        ("incomplete", (), State.UNKNOWN),
    ):
        made = Statement(time=round(SystemClock().wall()), outcome=outcome, residue=residue)
        await page.purge.log.append(LoggedAudit(sign_statement(made, KEY)).to_entry(), Audited(outcome))
        assert page.own.look()["R5"].state is state
    await eventually(lambda: _shows(page, "Incomplete"), within=10, every=0.1)

    grant = await page.purge.grant(ttl=1.0)
    await holders[1].hold(grant.photo_id)
    broken = await eventually(lambda: _broken(page, "R4"), within=10, every=0.05)
    assert "1 photo past the lease" in broken, "the lease is over, and its holder silent"


async def _shows(page: Page, text: str) -> str:
    body = (await page.read(""))[2]
    return body if text in body else ""


def _broken(page: Page, rule: str) -> str:
    found = page.own.look()[rule]
    return found.sentence if found.state is State.BROKEN else ""
