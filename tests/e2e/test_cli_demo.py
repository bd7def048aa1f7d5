"""`mayfly demo`: what `make demo` runs."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from clients.cli.exits import ExitCode
from clients.local.processes import started_at
from tests.e2e.cli import Mayfly


def test_two_pictures_and_the_proof(tmp_path: Path) -> None:
    mayfly = Mayfly(tmp_path, MAYFLY_RENDER_ENGINE="onnx")
    ran = mayfly("demo", "-o", "out")
    assert ran.code == 0, ran.err
    for words in ("GPS", "caption", "removes the metadata", "released", "verified, log entry", "0 keys"):
        assert words in ran.out
    pictures = sorted((tmp_path / "out").glob("*.jpg"))
    receipts = sorted((tmp_path / "out").glob("*.receipt.json"))
    assert len(pictures) == len(receipts) == 2
    assert all(path.read_bytes()[:3] == b"\xff\xd8\xff" for path in pictures)
    assert not mayfly.state.exists()
    for picture in pictures:
        said = mayfly("inspect", str(picture), "--json").json()
        assert said["credentials"]["state"] == "valid" and said["credentials"]["development"]
        assert said["watermark"]["source_type"] == said["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
        assert not any(said["carries"].values())
    keys = ("--key", "out/receipts.pub.pem", "--log-key", "out/log.vkey")
    assert all(mayfly("verify", str(path), *keys).code == 0 for path in receipts)


def test_beside_a_mesh_that_is_up_and_twice_in_a_row(tmp_path: Path) -> None:
    mayfly = Mayfly(tmp_path)
    assert mayfly("up").code == 0
    try:
        before = mayfly.pids()
        for _ in range(2):
            value = mayfly("demo", "--json").json()
            assert value["planted_and_gone"] == 12 and value["keys_left"] == 0 and len(value["pictures"]) == 2
        assert mayfly.pids() == before and mayfly("status").code == 0
        assert list(mayfly.state.glob("demo-*")) == []
    finally:
        mayfly("down")


def test_a_demo_that_was_killed_is_tidied_up_by_the_next(tmp_path: Path) -> None:
    mayfly = Mayfly(tmp_path)
    with mayfly.start("demo") as process:
        assert process.stdout is not None
        while "Rendering" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    [folder] = mayfly.state.glob("demo-*")
    left = mayfly.pids(folder)
    assert all(started_at(pid) for pid in left.values())

    assert mayfly("demo").code == 0
    assert [pid for pid in left.values() if started_at(pid)] == []
    assert not mayfly.state.exists()


def test_a_photo_that_is_refused_fails_the_demo(tmp_path: Path) -> None:
    mayfly = Mayfly(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"not a photo")
    ran = mayfly("demo", "photo.jpg", "--json")
    assert ran.code == ExitCode.REFUSED and json.loads(ran.out)["error"]["reason"] == "UNSUPPORTED_FORMAT"
    assert not mayfly.state.exists()
