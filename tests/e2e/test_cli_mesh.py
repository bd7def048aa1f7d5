"""up, render, status, verify, down: the mesh on this machine, with real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.cli.exits import ExitCode
from clients.local.processes import started_at
from tests.e2e.cli import Mayfly

SERVICES = ["valkey", "purge", "ingest", "render", "gateway"]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, portrait: tuple[bytes, dict[str, bytes]]) -> Iterator[Mayfly]:
    """A mesh that tests leave whole."""
    mayfly = Mayfly(tmp_path_factory.mktemp("cli"))
    (mayfly.folder / "photo.jpg").write_bytes(portrait[0])
    started = mayfly("up")
    assert started.code == 0, started.err
    yield mayfly
    assert mayfly("down").code == 0


@pytest.fixture
def mayfly(tmp_path: Path) -> Iterator[Mayfly]:
    """A folder without a mesh; what is started in it ends with the test."""
    mayfly = Mayfly(tmp_path)
    yield mayfly
    mayfly("down")


def test_a_photo_a_picture_a_receipt(up: Mayfly, portrait: tuple[bytes, dict[str, bytes]]) -> None:
    ran = up("render", "photo.jpg", "--scene", "watercolour", "-o", "out.jpg", "--receipt", "r.json", "--json")
    value = ran.json()
    assert (ran.code, ran.err) == (0, "")
    assert {"gps", "exif", "xmp", "iptc", "comment", "thumbnail"} <= value["scrubbed"]["removed"].keys()
    assert (up.folder / "out.jpg").read_bytes()[:3] == b"\xff\xd8\xff"

    assert up("receipt", value["photo_id"], "-o", "logged.json").code == 0
    verified = up("verify", "logged.json", "--nonce", "r.json.nonce", "--json").json()
    assert verified["checks"] == ["format", "signature", "nonce", "checkpoint", "inclusion"]
    assert {held["holder"] for held in verified["receipt"]["custody"]} == {"gateway", "ingest", "render"}
    everything = (up.folder / "out.jpg").read_bytes() + (up.folder / "logged.json").read_bytes()
    assert [name for name, planted in portrait[1].items() if planted in everything] == []


def test_a_receipt_with_any_changed_byte_is_refused(up: Mayfly) -> None:
    up("render", "photo.jpg", "--scene", "watercolour", "-o", "out.jpg", "--receipt", "r.json")
    whole = (up.folder / "r.json").read_bytes()
    for at in (1, len(whole) // 2, len(whole) - 2):
        changed = bytearray(whole)
        changed[at] ^= 1
        (up.folder / "changed.json").write_bytes(changed)
        ran = up("verify", "changed.json")
        assert ran.code == ExitCode.NOT_VERIFIED and ran.err.startswith("mayfly: NOT verified")


def test_status(up: Mayfly) -> None:
    ran = up("status", "--json")
    value = ran.json()
    assert ran.code == 0 and value["up"]
    assert [row["name"] for row in value["processes"]] == SERVICES
    assert (value["leases_live"], value["keys_without_ttl"]) == (0, 0)
    assert up("status").out.count("ready") == len(SERVICES)


def test_up_again_says_that_it_is_up(up: Mayfly) -> None:
    before = up.pids()
    ran = up("up", "--json")
    assert ran.code == 0 and ran.json()["already_up"] and up.pids() == before


def test_a_second_mesh_beside_it(up: Mayfly, mayfly: Mayfly) -> None:
    (mayfly.folder / "photo.jpg").write_bytes((up.folder / "photo.jpg").read_bytes())
    assert mayfly("up").code == 0
    for each in (up, mayfly):
        assert each("render", "photo.jpg", "--scene", "watercolour", "-o", "out.jpg").code == 0
    assert not set(up.pids().values()) & set(mayfly.pids().values())


def test_down_leaves_nothing_running_and_receipts_verifiable(mayfly: Mayfly, portrait: tuple[bytes, object]) -> None:
    (mayfly.folder / "photo.jpg").write_bytes(portrait[0])
    mayfly("up")
    pids = mayfly.pids()
    assert mayfly("render", "photo.jpg", "--scene", "watercolour", "-o", "o.jpg", "--receipt", "r.json").code == 0
    down = mayfly("down", "--json").json()
    assert down == {"stopped": SERVICES, "killed": []}
    assert [pid for pid in pids.values() if started_at(pid)] == []
    assert mayfly("verify", "r.json").code == 0
    assert mayfly("status").code == ExitCode.AGAIN
    assert mayfly("render", "photo.jpg", "--scene", "watercolour", "-o", "o.jpg").code == ExitCode.USAGE
    assert mayfly("down").out == "No mesh was up in .mayfly.\n"


def test_a_mesh_that_was_killed_is_started_anew(mayfly: Mayfly) -> None:
    mayfly("up")
    before = mayfly.pids()
    for name in ("render", "valkey"):
        os.kill(before[name], signal.SIGKILL)
    status = mayfly("status", "--json")
    assert status.code == ExitCode.AGAIN
    assert {row["name"] for row in status.json()["processes"] if not row["alive"]} == {"render", "valkey"}

    assert mayfly("up").code == 0
    assert [pid for pid in before.values() if started_at(pid)] == []
    assert mayfly("status").code == 0


def test_a_service_that_cannot_start_says_why_in_one_line(mayfly: Mayfly, tmp_path: Path) -> None:
    broken = Mayfly(tmp_path, MAYFLY_RENDER_ENGINE="no-such-engine")
    ran = broken("up")
    assert ran.code == ExitCode.USAGE
    assert ran.err.startswith("mayfly: render: MAYFLY_RENDER_ENGINE") and ran.err.count("\n") == 1
    assert not (broken.state / "mesh.json").exists()
