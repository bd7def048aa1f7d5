"""`mayfly observe` without a mesh: what it is told and tells, what it starts, and what becomes of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from clients.cli.exits import ExitCode
from clients.cli.main import run
from clients.local.failures import StartFailed
from clients.observe import alertmanager, deployed, prometheus, workload
from clients.observe.alerts import Alert
from clients.observe.check import CAUSED, Report
from clients.observe.program import Program
from mesh.errors import ConfigError


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
    serve = "import http.server as h; h.HTTPServer(('127.0.0.1', PORT), H).serve_forever()"
    handler = "class H(h.BaseHTTPRequestHandler):\n def do_GET(s): s.send_response(200); s.end_headers()\n"
    with Python(tmp_path, f"import http.server as h\n{handler}{serve}") as program:
        pid = program.pid
        assert pid is not None and Path(f"/proc/{pid}").exists()
    assert program.pid is None
    assert not Path(f"/proc/{pid}").exists()


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


def test_the_workload_s_photo_is_small() -> None:
    import io

    with Image.open(io.BytesIO(workload.photo())) as image:
        assert image.format == "JPEG"
        assert max(image.size) == workload.SIDE
