from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from clients.local import environment, ports, shards
from clients.local.environment import SERVICES, Addresses, Redis
from clients.local.failures import PortTaken, explain
from clients.local.ops import Sample, total
from clients.local.processes import end, is_alive, send, spawn, started_at, wait_gone
from clients.local.state import MeshRecord, ProcessRecord, StateFolder
from mesh.errors import ConfigError
from services.purge.signing import load_keys

PLACES = {name: Addresses(f"127.0.0.1:{at}", f"127.0.0.1:{at + 1}") for at, name in enumerate(SERVICES, 20000)}


def _spawn(tmp_path: Path, code: str) -> tuple[subprocess.Popen[bytes], ProcessRecord]:
    child = spawn([sys.executable, "-c", code], env={}, cwd=tmp_path, log=tmp_path / "log")
    return child, ProcessRecord(child.pid, started_at(child.pid) or "")


def _await_line(path: Path, line: str, child: subprocess.Popen[bytes]) -> None:
    while line not in path.read_text():
        assert child.poll() is None


def test_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.create()
    assert state.read() is None
    record = MeshRecord({"purge": ProcessRecord(7, "now", "127.0.0.1:1", "127.0.0.1:2")}, "/socket")
    state.write(record)
    assert state.read() == record
    state.clear()
    assert state.read() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"processes": {"a": {}}, "valkey_socket": ""}'])
def test_damaged_state_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    (tmp_path / "mesh.json").write_text(text)
    with pytest.raises(ConfigError, match="damaged"):
        StateFolder(tmp_path).read()


def test_state_is_for_its_owner_only(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.create()
    state.write(MeshRecord())
    folders = [path for path in state.root.rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in (state.root, *folders)} == {0o700}
    assert (state.root / "mesh.json").stat().st_mode & 0o777 == 0o600


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be written"):
        StateFolder(tmp_path / "file" / "state").create()


def test_ports_are_free_different_and_not_ephemeral() -> None:
    found = ports.free_ports(16)
    assert len(set(found)) == 16
    assert all(port < ports._ephemeral_start() for port in found)
    for port in found:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_a_process_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    child, record = _spawn(tmp_path, "import signal; print('up', flush=True); signal.pause()")
    _await_line(tmp_path / "log", "up", child)
    assert is_alive(record)
    assert end(record, 10.0)
    assert not is_alive(record) and child.wait() == -signal.SIGTERM


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    child, record = _spawn(tmp_path, ignore + "; signal.pause()")
    _await_line(tmp_path / "log", "up", child)
    assert not end(record, 0.0)
    assert child.wait() == -signal.SIGKILL


def test_a_recycled_pid_is_left_alone(tmp_path: Path) -> None:
    child, record = _spawn(tmp_path, "import signal; signal.pause()")
    other = ProcessRecord(record.pid, "another time")
    assert not is_alive(other)
    assert not send(other, signal.SIGKILL) and end(other, 0.0)
    assert child.poll() is None
    child.kill()
    child.wait()


def test_a_zombie_is_dead(tmp_path: Path) -> None:
    child, record = _spawn(tmp_path, "import signal; signal.pause()")
    os.kill(child.pid, signal.SIGKILL)
    assert wait_gone(record, 10.0)  # nobody has waited for it yet
    child.wait()


def test_a_process_has_a_session_of_its_own(tmp_path: Path) -> None:
    child, record = _spawn(tmp_path, "import signal; signal.pause()")
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    end(record, 10.0)
    child.wait()


def test_a_service_is_told_only_what_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET", "MAYFLY_TOKEN_FILE", "MAYFLY_RENDER_ENGINE", "MAYFLY_REDIS_URL", "MAYFLY_DRAIN_SECONDS"):
        monkeypatch.setenv(name, "value")
    told = {
        name: environment.build(
            name, state=StateFolder(tmp_path), addresses=PLACES, redis=Redis(), overrides={"MAYFLY_X": "x"}
        )
        for name in SERVICES
    }
    for name, env in told.items():
        assert env["MAYFLY_LISTEN"] == PLACES[name].grpc and env["MAYFLY_OPS_LISTEN"] == PLACES[name].ops
        assert env["MAYFLY_DRAIN_SECONDS"] == "value" and env["MAYFLY_X"] == "x"
        assert "SECRET" not in env and "MAYFLY_TOKEN_FILE" not in env
        assert ("MAYFLY_RENDER_ENGINE" in env) == (name == "render")
        assert ("MAYFLY_REDIS_URL" in env) == (name == "purge")
        assert env["PYTHONDONTWRITEBYTECODE"] == env["ORT_DISABLE_TELEMETRY"] == "1"
    assert {name for name, env in told.items() if "MAYFLY_RENDER_C2PA_KEY" in env} == {"render"}
    assert told["gateway"]["MAYFLY_GATEWAY_RENDER_TARGET"] == PLACES["render"].grpc
    assert told["ingest"]["MAYFLY_REGISTRY_TARGET"] == PLACES["purge"].grpc


def test_another_certificate_for_pictures_is_taken_with_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a pair is left to render, which says what is missing: ours would not belong to it."""
    monkeypatch.setenv("MAYFLY_RENDER_C2PA_CERT", "theirs.pem")
    told = environment.build("render", state=StateFolder(tmp_path), addresses=PLACES, redis=Redis(), overrides={})
    assert told["MAYFLY_RENDER_C2PA_CERT"] == "theirs.pem" and "MAYFLY_RENDER_C2PA_KEY" not in told


def test_a_failure_is_told_in_the_services_own_line(tmp_path: Path) -> None:
    log = tmp_path / "render.log"
    log.write_text('{"event": "serving"}\nwarning: something\nrender: MAYFLY_X: is not set\n')
    assert str(explain("render", log, 78)) == "render: MAYFLY_X: is not set"


def test_a_failure_without_words(tmp_path: Path) -> None:
    log = tmp_path / "render.log"
    assert "ended at its start with status 1" in str(explain("render", log, 1))
    log.write_text("Traceback (most recent call last):\nValueError: x\n")
    assert "ValueError: x" in str(explain("render", log, 1))
    assert "did not become ready" in str(explain("render", log, None))


@pytest.mark.parametrize(
    "line",
    [
        "purge: MAYFLY_LISTEN: 127.0.0.1:1 can't be bound; is it in use?",
        "OSError: [Errno 98] Address already in use",
    ],
)
def test_a_taken_port_is_worth_another_try(tmp_path: Path, line: str) -> None:
    log = tmp_path / "purge.log"
    log.write_text(f"{line}\n")
    assert isinstance(explain("purge", log, 78), PortTaken)


def test_series_are_summed_by_label() -> None:
    samples = [Sample("a", {"x": "1"}, 2.0), Sample("a", {"x": "2"}, 3.0), Sample("b", {}, 5.0)]
    assert total(samples, "a") == 5.0 and total(samples, "a", x="2") == 3.0
    assert total(samples, "c") is None


def test_replicas_of_purge_have_their_own_place_log_and_keys(tmp_path: Path) -> None:
    names = environment.processes(3)
    assert names == ("purge", "purge-1", "purge-2", "ingest", "render", "gateway")
    places = {name: Addresses(f"127.0.0.1:{at}", f"127.0.0.1:{at + 100}") for at, name in enumerate(names, 20000)}
    told = {
        name: environment.build(name, state=StateFolder(tmp_path), addresses=places, redis=Redis(), overrides={})
        for name in names
    }
    replicas = [told[name] for name in names if environment.is_purge(name)]
    assert [env["MAYFLY_INSTANCE"] for env in replicas] == ["purge-0", "purge-1", "purge-2"]
    for variable in ("MAYFLY_LISTEN", "MAYFLY_OPS_LISTEN", "MAYFLY_PURGE_LOG_DIR", "MAYFLY_PURGE_KEY_DIR"):
        assert len({env[variable] for env in replicas}) == 3
    assert replicas[0]["MAYFLY_PURGE_LOG_DIR"] == str(tmp_path / "log"), "as where there is only one"
    assert [env.get("MAYFLY_PURGE_LOG_ORIGIN") for env in replicas] == [
        None,
        "mayfly.local/log-1",
        "mayfly.local/log-2",
    ]
    for service in ("ingest", "render", "gateway"):
        assert told[service]["MAYFLY_REGISTRY_TARGET"] == "127.0.0.1:20000,127.0.0.1:20001,127.0.0.1:20002"


def test_each_replica_is_told_of_the_other_logs_and_not_of_its_own(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.create()
    places = {name: Addresses("127.0.0.1:1", f"127.0.0.1:{at}") for at, name in enumerate(environment.processes(2), 2)}
    shards.prepare(state, places)
    (other,) = json.loads(state.shards("purge").read_text())
    assert (other["origin"], other["url"]) == ("mayfly.local/log-1", "http://127.0.0.1:3/log")
    (first,) = json.loads(state.shards("purge-1").read_text())
    assert (first["origin"], first["url"]) == ("mayfly.local/log", "http://127.0.0.1:2/log")
    assert first["vkey"] == load_keys(state.keys, origin="mayfly.local/log").log_vkey
    assert first["vkey"].startswith("mayfly.local/log+")


def test_a_single_purge_is_told_of_nobody(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.create()
    shards.prepare(state, PLACES)
    assert not state.shards("purge").exists()
    assert list(state.keys.iterdir()) == []
