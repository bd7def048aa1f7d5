"""The auditor and a real mesh: every way of ending, hunts, countings, the log; and an ingest that keeps one photo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from clients.local import auditing, ops
from clients.local.mesh import LocalMesh
from clients.local.ports import free_ports
from mesh.transparency.dsse import keyring
from services.purge.audit import PLACES, LoggedAudit, open_statement
from services.purge.auditor.endings import ENDINGS
from services.purge.signing import load_public
from tests.deploy.exposed import faults
from tests.deploy.settings import AUDITOR, SERVICES
from tests.e2e import books
from tests.e2e.cli import ROOT, Mayfly

LEAKS = Path(__file__).parents[1] / "leaks"
NAMES = {ending.name for ending in ENDINGS}
SETTINGS = {
    "MAYFLY_AUDITOR_KINDS": "jpeg,png,webp",
    "MAYFLY_AUDITOR_ROUND": "16",
    # Other tests write to /tmp and HOME meanwhile.
    "MAYFLY_AUDITOR_SHARED_ROOTS": "/var/tmp,/dev/shm",
}

pytestmark = pytest.mark.skipif(not auditing.may_read_others(), reason="takes CAP_SYS_PTRACE")


@pytest.fixture
def leaky_mesh(fresh_mesh) -> LocalMesh:
    """Ingest's scrubber keeps every photo but the first in a list: a variant of the service, for tests only."""
    return fresh_mesh({"ingest": {"PYTHONPATH": f"{LEAKS / 'keeping'}:{ROOT}"}})


@pytest.mark.timeout(180)
def test_each_way_of_ending_is_audited_and_what_ingest_keeps_is_found(leaky_mesh: LocalMesh) -> None:
    steps: list[str] = []
    report = auditing.audit(
        leaky_mesh, canaries=len(ENDINGS), settings=SETTINGS, progress=lambda what, *_: steps.append(what)
    )
    assert report["failed"] == []
    assert report["canaries"] == dict.fromkeys(NAMES, 1)
    assert report["control"] >= 0.99
    assert (report["reconciled"], report["differences"]) == (True, {})
    for where in ("memory", "file", "redis", "log", "metrics"):
        assert report["searched"][where] > 0, where

    # The first photo is the one that only a picture to compare with is made of; ingest keeps the others.
    assert max(each["bytes"] for each in report["found"] if each["what"] == "upload") > 20_000
    assert report["outcome"] == "residue"
    assert {(each["service"], each["where"]) for each in report["residue"]} == {("ingest", "memory")}

    statements = [entry for entry in books.log_entries(leaky_mesh) if isinstance(entry, LoggedAudit)]
    key = auditing.public_key(leaky_mesh.state.root)
    assert key is not None
    (statement,) = [open_statement(entry.envelope, keyring([key])) for entry in statements]
    assert statement.outcome == "residue"
    assert dict(statement.canaries) == report["canaries"]
    assert {(each.service, each.where) for each in statement.residue} == {
        (each["service"], each["where"]) for each in report["residue"]
    }


@pytest.mark.timeout(180)
async def test_the_auditor_as_a_process_audits_counts_and_shows_it(mesh: LocalMesh, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    ops_address, own = f"127.0.0.1:{port}", {**SETTINGS, "MAYFLY_AUDITOR_LOOK_INTERVAL": "0.3"}
    with auditing.environment(mesh, len(ENDINGS)) as told, (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            [sys.executable, "-P", "-m", "services.purge.auditor"],
            env={**told, **own, "MAYFLY_OPS_LISTEN": ops_address},
            stderr=log,
        )
        try:
            await books.eventually(
                lambda: ops.total(ops.metrics(ops_address), "mayfly_canary_runs_total"), 150, "no audit"
            )
            samples = ops.metrics(ops_address)
            key = ops.get(ops_address, "/keys/audit.pub.pem")
            # Every photo that can be sent has been: what does /metrics of everybody say now?
            shown = {name: ops.get(mesh.ops_address(name), "/metrics") for name in SERVICES}
            shown[AUDITOR] = ops.get(ops_address, "/metrics")
        finally:
            process.terminate()
        assert process.wait(20) == 0
    said = (tmp_path / "log").read_text()
    sent = {name: ops.total(samples, "mayfly_canary_sent_total", ending=name) for name in NAMES}
    assert sent == dict.fromkeys(NAMES, 1)
    gauges = [each for each in samples if each.name == "mayfly_canary_residue_bytes"]
    found = {(each.labels["service"], each.labels["where"]) for each in gauges if each.value}
    assert found == set(), said
    assert len(gauges) > len(PLACES), "each service and place is shown"
    assert ops.total(samples, "mayfly_canary_runs_total", outcome="clean") == 1, said
    assert ops.total(samples, "mayfly_canary_last_clean_timestamp_seconds")
    assert ops.total(samples, "mayfly_canary_searched_bytes", where="memory") > 1 << 20
    controls = {each.labels["control"]: each.value for each in samples if each.name == "mayfly_lockdown_control"}
    assert controls == dict.fromkeys(("no_core_dumps", "not_dumpable", "no_new_privileges", "no_swap", "seccomp"), 1)
    assert ops.total(samples, "mayfly_reconciliation_differences") == 0
    assert key is not None
    assert load_public(key) == auditing.public_key(mesh.state.root)
    for service, text in shown.items():
        assert text is not None
        assert faults(service, text.decode()) == [], service
        assert "mayfly_metric_values_withheld_total 0.0" in text.decode(), service
        assert f'mayfly_build_info{{service="{service}",version="{version("mayfly")}"}} 1.0' in text.decode()
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert events[0] == "serving"
    assert "audit_done" in events


@pytest.mark.timeout(180)
def test_the_command_starts_a_mesh_of_its_own_and_the_log_shows_the_audit(tmp_path: Path) -> None:
    mayfly = Mayfly(tmp_path, **SETTINGS, MAYFLY_MODEL_DIR=os.environ.get("MAYFLY_MODEL_DIR", str(ROOT / ".models")))
    ran = mayfly("audit", "--json", "--canaries", "1")
    report = ran.json()
    assert report["canaries"] == {"delivered": 1}
    assert ran.code == {"clean": 0, "residue": 9, "incomplete": 5}[report["outcome"]]
    assert not (mayfly.state / "mesh.json").exists()

    recount = mayfly("audit-log", "--json").json()
    assert recount["verified"] is True
    assert recount["audits"] == {report["outcome"]: 1}
    other = tmp_path / "other.pem"
    other.write_bytes((mayfly.state / "pki/receipts.pub.pem").read_bytes())
    refused = mayfly("audit-log", "--json", "--audit-key", str(other))
    assert refused.code == 7
    assert json.loads(refused.out)["error"]["check"] == "conservation"
