"""The embedded server itself: who may log in, and that nothing of it reaches a disk."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from clients.local.state import StateFolder
from clients.local.valkey import Valkey


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    yield from _running(tmp_path / "state")


@pytest.fixture
def far_away(tmp_path: Path) -> Iterator[Valkey]:
    """Its state folder's path is longer than a socket's address may be."""
    yield from _running(tmp_path / ("long-" * 20) / "state")


def _running(root: Path) -> Iterator[Valkey]:
    state = StateFolder(root)
    state.create()
    valkey = Valkey(state)
    valkey.prepare()
    child = valkey.spawn()
    try:
        _await_answer(valkey, child)
        yield valkey
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()
        valkey.clean()


def _await_answer(valkey: Valkey, child: subprocess.Popen[bytes]) -> None:
    while not valkey.answers():
        assert child.poll() is None


def test_persistence_is_off(valkey: Valkey) -> None:
    with Redis.from_url(valkey.url_with_credentials, protocol=2) as redis:
        settings = {name: redis.config_get(name)[name] for name in ("save", "appendonly", "maxmemory-policy")}
    assert settings == {"save": "", "appendonly": "no", "maxmemory-policy": "noeviction"}


def test_only_purge_may_log_in(valkey: Valkey) -> None:
    with Redis.from_url(valkey.url, protocol=2) as redis, pytest.raises(AuthenticationError):
        redis.ping()


@pytest.mark.parametrize("command", [("SAVE",), ("CONFIG", "SET", "save", "1 1"), ("FLUSHALL",), ("SET", "x", "1")])
def test_purge_may_do_no_more_than_it_must(valkey: Valkey, command: tuple[str, ...]) -> None:
    with Redis.from_url(valkey.url_with_credentials, protocol=2) as redis, pytest.raises(NoPermissionError):
        redis.execute_command(*command)


def test_nobody_else_reaches_the_socket(valkey: Valkey) -> None:
    assert Path(valkey.socket).stat().st_mode & 0o777 == 0o700
    assert Path(valkey.socket).parent.stat().st_mode & 0o777 == 0o700
    assert valkey.password_file.stat().st_mode & 0o777 == 0o600


def test_the_password_stands_in_no_command_line_and_no_acl_file(valkey: Valkey) -> None:
    acl = (valkey.password_file.parent / "users.acl").read_text()
    assert valkey.password_file.read_text() not in acl


def test_a_long_path_gets_a_short_socket(far_away: Valkey) -> None:
    folder = Path(far_away.socket).parent
    assert len(far_away.socket.encode()) < 108 and folder.stat().st_mode & 0o777 == 0o700
    far_away.clean()
    assert not folder.exists()


@pytest.fixture
def administrator(tmp_path: Path) -> Iterator[Redis]:
    """Somebody who may do everything, on a server that was started as always."""
    state = StateFolder(tmp_path / "state")
    state.create()
    valkey = Valkey(state)
    valkey.prepare()
    with (state.valkey / "users.acl").open("a") as acl:
        acl.write("user admin on nopass ~* &* +@all\n")
    child = valkey.spawn()
    try:
        _await_answer(valkey, child)
        with Redis(unix_socket_path=valkey.socket, username="admin", password="any", protocol=2) as redis:
            redis.set("parked", "ciphertext" * 1000)
            yield redis
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


@pytest.mark.parametrize(
    "commands",
    [
        [("SAVE",)],
        [("BGSAVE",)],
        [("CONFIG", "SET", "appendonly", "yes")],
        [("CONFIG", "SET", "dir", "/tmp"), ("SAVE",)],
        [("ACL", "SAVE")],
        [("CONFIG", "REWRITE")],
    ],
)
def test_not_even_an_administrator_makes_it_write(
    administrator: Redis, tmp_path: Path, commands: list[tuple[str, ...]]
) -> None:
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    with contextlib.suppress(ResponseError):
        for command in commands:
            administrator.execute_command(*command)
        if commands == [("BGSAVE",)]:
            while administrator.info("persistence")["rdb_bgsave_in_progress"]:
                pass
            assert administrator.info("persistence")["rdb_last_bgsave_status"] == "err"
            raise ResponseError
        raise AssertionError(f"{commands} succeeded")
    assert administrator.ping()
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert not written and not list(Path("/tmp").glob("*.rdb"))


def test_the_kernel_holds_the_server(valkey: Valkey, tmp_path: Path) -> None:
    """What was asked for when it was exec'd, seen in the process itself."""
    with Redis.from_url(valkey.url_with_credentials, protocol=2) as redis:
        pid = redis.info("server")["process_id"]
    limits = Path(f"/proc/{pid}/limits").read_text()
    allowed = {"Max file size": ("0",), "Max core file size": ("0", "1")}  # bytes
    for name, least in allowed.items():
        (line,) = (line for line in limits.splitlines() if line.startswith(name))
        assert line.split()[-3] == line.split()[-2] in least
    status = Path(f"/proc/{pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp_filters:\t1" in status
    files = [path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()]
    assert not [path for path in files if path.is_file()]
