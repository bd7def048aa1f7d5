"""`mayfly observe` without a mesh: what it is told and tells, what it starts, and what becomes of it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from clients.cli.exits import ExitCode
from clients.cli.main import run
from clients.demo.folder import demo_mesh
from clients.local.failures import StartFailed
from clients.local.processes import keep
from clients.local.state import ProcessRecord
from clients.observe import alertmanager, deployed, driving, prometheus, workload
from clients.observe.alerts import Alert
from clients.observe.check import CAUSED, Report
from clients.observe.program import Program
from clients.sdk.results import Lease, Progress, Scene
from mesh.errors import ConfigError, Invalid, MeshError, Unavailable


class Python(Program):
    """A program that is ready, or isn't, by a line of Python."""

    def __init__(self, folder: Path, line: str) -> None:
        super().__init__("python", folder)
        self._line = line

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", self._line.replace("PORT", self.address.rpartition(":")[2])]


def test_what_is_missing_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("clients.local.auditing.may_read_others", lambda: True)
    assert run(["observe", "--check", "--state", str(tmp_path / "state")]) == ExitCode.USAGE
    assert capsys.readouterr().err == "mayfly: prometheus is not installed (Debian: prometheus).\n"
    assert not (tmp_path / "state").exists()


def test_json_is_for_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["observe", "--json"]) == ExitCode.USAGE
    assert json.loads(capsys.readouterr().out)["error"]["message"] == "--json goes with --check."


def test_a_program_runs_until_it_is_stopped(tmp_path: Path) -> None:
    with Python(tmp_path, _READY) as program:
        pid = program.pid
        assert pid is not None and Path(f"/proc/{pid}").exists()
    assert program.pid is None
    assert not Path(f"/proc/{pid}").exists()


_READY = """
import http.server as h
class H(h.BaseHTTPRequestHandler):
    def do_GET(s): s.send_response(200); s.end_headers()
h.HTTPServer(('127.0.0.1', PORT), H).serve_forever()
"""


def test_what_a_killed_observer_has_left_behind_is_ended_at_the_next_start(tmp_path: Path) -> None:
    left = tmp_path / "demo-1"
    (left / "observe/python").mkdir(parents=True)
    (left / "owner.json").write_text(json.dumps({"pid": 1 << 30, "started": "never"}))
    program = Python(left / "observe/python", _READY).start()
    child = program._child  # nobody stops it, as if we had been killed
    assert child is not None
    # A process that got the pid of one that was written down, and is another one: we.
    keep(ProcessRecord(os.getpid(), "another time"), left, "gone")
    (left / "torn.process.json").write_text('{"pid": ')
    with demo_mesh(tmp_path):
        assert child.wait(timeout=5) != 0
        assert not left.exists()


def test_a_program_that_was_stopped_is_not_written_down(tmp_path: Path) -> None:
    with Python(tmp_path, _READY):
        assert [path.name for path in tmp_path.glob("*.json")] == ["python.process.json"]
    assert list(tmp_path.glob("*.json")) == []


def test_a_program_that_fails_says_its_last_line(tmp_path: Path) -> None:
    program = Python(tmp_path, "raise SystemExit('the port is taken')")
    with pytest.raises(StartFailed, match="python did not start: the port is taken"):
        program.start()
    assert program.pid is None


def test_prometheus_scrapes_what_it_is_told_by_the_deployed_rules() -> None:
    config = prometheus.configuration(
        {"purge": ["127.0.0.1:1", "127.0.0.1:2"]}, every=0.5, rules=deployed.RULES, alertmanager="127.0.0.1:3"
    )
    assert config["rule_files"] == [str(deployed.RULES)]
    assert config["global"]["scrape_interval"] == "500ms"
    assert config["scrape_configs"] == [
        {"job_name": "purge", "static_configs": [{"targets": ["127.0.0.1:1", "127.0.0.1:2"]}]}
    ]
    assert config["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["127.0.0.1:3"]}]}]


def test_a_job_that_is_not_deployed_is_refused() -> None:
    with pytest.raises(ConfigError, match="no job nobody"):
        prometheus.configuration({"nobody": ["127.0.0.1:1"]}, every=1, rules=deployed.RULES, alertmanager=None)


def test_alertmanager_keeps_its_routes_and_calls_nobody() -> None:
    deployed_routes = deployed.read(deployed.ALERTMANAGER)
    config = alertmanager.configuration()
    assert config["route"] == deployed_routes["route"]
    assert config["inhibit_rules"] == deployed_routes["inhibit_rules"]
    assert config["receivers"] and all(set(receiver) == {"name"} for receiver in config["receivers"])


def test_outside_of_a_checkout_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes a checkout"):
        deployed.read(tmp_path / "rules.yml")


def test_only_an_alert_that_is_evaluated_and_quiet_is_without_a_fault() -> None:
    assert Alert("A", "inactive", "ok").fault is None
    assert Alert("A", "firing", "ok").fault == "A is firing"
    assert Alert("A", "inactive", "err", "bad").fault == "A is not evaluated (err) bad"
    assert Alert("A", "missing").fault == "A is not loaded"


def test_a_report_says_what_came_of_it() -> None:
    report = Report(panels=3, panels_ok=3, alerts=2, alerts_ok=2, photos={"delivered": 2, "revoked": 1}, seconds=7.1)
    assert report.line() == f"3/3 panels · 2/2 alerts · {CAUSED} did not fire · 3 photos · 7 s"
    report.fired = report.cleared = True
    assert f"{CAUSED} fired and cleared" in report.line()
    assert report.ok and report.to_value()["ok"]
    report.faults.append("A is firing")
    assert not report.ok and report.to_value()["faults"] == ["A is firing"]


class Mesh:
    """What a workload asks of a client. fails: what every photo gets. quick: whether pictures are there at once.

    queued: whether a photo gets as far as the queue. accepted: once one was.
    """

    def __init__(self, *, fails: MeshError | None = None, quick: bool = False, queued: bool = True) -> None:
        self.fails = fails
        self.quick = quick
        self.queued = queued
        self.accepted = asyncio.Event()
        self.hung_up = 0

    async def render(self, photo: bytes, _scene: str, *, on_progress=None, on_accepted=None, ttl=None) -> None:
        if self.fails is not None:
            raise self.fails
        if b"not a photo" in photo and not self.quick:
            raise Invalid("MALFORMED_PHOTO", "No.")
        if on_accepted is None or self.quick:
            return
        on_accepted(Lease("1" * 32, datetime.now(UTC), "", b"", b""))
        self.accepted.set()
        if self.queued:
            on_progress(Progress("rendering", "", None))
        try:
            await asyncio.Event().wait()
        finally:
            self.hung_up += 1

    async def collect_when_parked(self, _lease: Lease) -> None:
        """It is there."""

    async def revoke(self, _photo_id: str) -> None:
        """It is gone."""


_SCENES = [Scene(scene_id="a", title="A", kind="milestone", captions={}, min_side=1, cost="light")]


async def _after_a_round(mesh: Any) -> tuple[dict[str, int], dict[str, int]]:
    work = workload.Workload(mesh, _SCENES, b"\xff\xd8")
    await work.round()
    return dict(work.ended), dict(work.failed)


async def test_a_round_ends_photos_in_every_way() -> None:
    mesh = Mesh()
    ended = {"delivered": 3, "collected": 1, "revoked": 1, "expired": 1, "refused": 1}
    assert await _after_a_round(mesh) == (ended, {})
    assert mesh.hung_up == 3


async def test_what_came_before_anybody_could_hang_up_was_delivered_and_what_is_no_photo_gets_no_picture() -> None:
    assert await _after_a_round(Mesh(quick=True)) == ({"delivered": 6}, {"NOT_REFUSED": 1})


async def test_what_failed_is_told_after_it_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[str]()

    def tell(ending: str, scene: str) -> None:
        told.append(f"{scene} {ending}")
        if len(told) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(workload, "_PAUSE", 0)
    work: Any = Mesh(fails=Unavailable("REGISTRY_UNSAFE", "No."))
    with pytest.raises(KeyboardInterrupt):
        await workload.Workload(work, _SCENES, b"").forever(tell)
    assert told == ["A failed: REGISTRY_UNSAFE"] * 2


async def test_who_is_told_to_stop_leaves_no_photo_behind() -> None:
    mesh: Any = Mesh(queued=False)
    work = workload.Workload(mesh, _SCENES, b"")
    hanging_up = asyncio.create_task(work._hung_up("a"))
    await mesh.accepted.wait()
    hanging_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging_up
    assert mesh.hung_up == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_tokens_that_could_not_be_renewed_are_renewed_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done, said = asyncio.Event(), io.StringIO()
    outcomes = iter([OSError("no space"), None])

    def renew(_mesh: object, _file: Path) -> None:
        if (error := next(outcomes)) is not None:
            raise error
        done.set()

    monkeypatch.setattr(driving.auditing, "renew_tokens", renew)
    monkeypatch.setattr(driving, "_RENEW_SECONDS", 0)
    monkeypatch.setattr(driving, "_AGAIN_SECONDS", 0)
    stack: Any = SimpleNamespace(mesh=None, auditor=SimpleNamespace(token_file=tmp_path))
    renewing = asyncio.create_task(driving._renew(stack, Console(file=said)))
    await done.wait()
    renewing.cancel()
    assert said.getvalue().strip() == "The auditor's tokens could not be renewed: no space"


def test_the_workload_s_photo_is_small() -> None:
    with Image.open(io.BytesIO(workload.photo())) as image:
        assert image.format == "JPEG"
        assert max(image.size) == workload.SIDE
