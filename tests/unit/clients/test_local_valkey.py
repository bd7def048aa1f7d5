"""The embedded server itself: who may log in, and that nothing of it reaches a disk."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

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
