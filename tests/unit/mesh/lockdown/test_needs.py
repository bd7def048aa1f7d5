"""What the lockdown derives from settings: each service's files and ports, and no more."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from clients.local.environment import SERVICES, Addresses, Redis, build
from clients.local.pki import Pki
from clients.local.sign_in import SignIn
from clients.local.state import StateFolder
from mesh.config import load
from mesh.lockdown import reads
from mesh.lockdown.needs import DNS, Needs, is_looked_up
from services.gateway.config import GatewaySettings
from services.ingest.config import IngestSettings
from services.purge.config import PurgeSettings
from services.render.config import RenderSettings

SETTINGS = {
    "gateway": GatewaySettings,
    "ingest": IngestSettings,
    "render": RenderSettings,
    "purge": PurgeSettings,
}
PLACES = {
    name: Addresses(f"127.0.0.1:{at}", f"127.0.0.1:{at + 1}")
    for at, name in zip((21, 31, 41, 51), SERVICES, strict=True)
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> StateFolder:
    folder = StateFolder(tmp_path_factory.mktemp("state"))
    folder.create()
    Pki(folder.pki).ensure()
    SignIn(folder.pki).ensure()
    return folder


def needs_of(service: str, state: StateFolder, monkeypatch: pytest.MonkeyPatch, **more: str) -> Needs:
    redis = Redis("unix:///somewhere/s?db=0")
    told = build(service, state=state, addresses=PLACES, redis=redis, overrides=more)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return load(SETTINGS[service], service).needs()


@pytest.mark.parametrize(
    ("service", "binds", "connects", "decoders"),
    [
        ("gateway", {51, 52}, {21, 31, 41}, False),
        ("ingest", {31, 32}, {21}, True),
        ("render", {41, 42}, {21}, True),
        ("purge", {21, 22}, set(), False),
    ],
)
def test_ports_are_those_of_the_settings(service, binds, connects, decoders, state, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    needs = needs_of(service, state, monkeypatch)
    assert (needs.binds, needs.connects, needs.decoders) == (binds, connects, decoders)
    assert needs.unix_sockets == (service == "purge")
    own = {Pki(state.pki).certificate(service), Pki(state.pki).key(service), Pki(state.pki).ca}
    assert own <= needs.reads
    others = {Pki(state.pki).key(other) for other in SERVICES if other != service}
    assert not others & needs.reads and state.pki not in needs.reads


def test_purge_alone_writes_and_keys_only_until_it_has_them(state: StateFolder, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    for service in ("gateway", "ingest", "render"):
        assert not needs_of(service, state, monkeypatch).writes
    assert needs_of("purge", state, monkeypatch).writes == {state.transparency_log, state.keys}
    for name in ("receipts.key.pem", "log.key.pub"):
        (state.keys / name).touch()
    assert needs_of("purge", state, monkeypatch).writes == {state.transparency_log}
    (state.keys / "log.key.pub").unlink()
    assert needs_of("purge", state, monkeypatch, MAYFLY_PURGE_KEY_CREATE="no").writes == {state.transparency_log}


@pytest.mark.parametrize(
    ("url", "connects", "unix"),
    [
        ("redis://10.0.0.1:7000/0", {7000}, False),
        ("redis://localhost/0", {6379}, False),
        ("redis+sentinel://10.0.0.1:26379,10.0.0.2:26380/m", {26379, 26380, 6379, 7001}, False),
        ("rediss+cluster://10.0.0.1:7000", {7000, 6379, 7001}, False),
        ("redis://redis.example:7000/0", {7000, DNS}, False),
        ("unix:///a/s?db=0", set(), True),
    ],
)
def test_purge_reaches_its_redis(url, connects, unix, state, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    needs = needs_of("purge", state, monkeypatch, MAYFLY_REDIS_URL=url, MAYFLY_REDIS_PORTS="7001")
    assert (needs.connects, needs.unix_sockets) == (connects, unix)


def test_an_agent_is_a_socket_and_tls_files_may_be_replaced(state: StateFolder, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    pki = Pki(state.pki)
    needs = needs_of(
        "purge",
        state,
        monkeypatch,
        MAYFLY_REDIS_URL="rediss://127.0.0.1:7000/0",
        MAYFLY_PURGE_KEY_AGENT="/run/agent",
        MAYFLY_REDIS_TLS_CA=str(pki.ca),
    )
    assert needs.unix_sockets
    assert state.pki in needs.reads


def test_names_need_a_name_server_and_addresses_none() -> None:
    assert Needs().connecting(["purge:9000"]).connects == {9000, DNS}
    assert Needs().connecting(["127.0.0.1:9000", "[::1]:9001", "localhost:9002"]).connects == {9000, 9001, 9002}
    assert Needs().fetching(["https://witness.example/x", "http://10.0.0.1/log", "nonsense", "ftp://a"]).connects == {
        443,
        80,
        DNS,
    }
    assert is_looked_up("purge") and not is_looked_up("::1")


def test_a_port_of_zero_is_any_free_port() -> None:
    assert Needs().binding("127.0.0.1:0").binds == {0}


def test_ipv6_takes_a_free_port_for_grpc_to_look_whether_it_is_there() -> None:
    assert Needs().binding("0.0.0.0:9000").connecting(["10.0.0.1:9001"]).binds == {9000}
    assert Needs().binding("[::]:9000").binds == {9000, 0}
    assert Needs().connecting(["[::1]:9001"]).binds == {0}


def test_what_python_reads_is_not_the_folder_in_which_our_state_may_lie() -> None:
    files = reads.of_a_process()
    (root,) = reads.roots_of_source()
    assert root not in files and Path("/") not in files and Path.home() not in files
    assert {root / "mesh", root / "services", root / "mayfly"} <= files
    assert reads.forbidden() == ["/", str(root)]


def test_packages_that_were_installed_among_others_can_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = Path(sysconfig.get_path("purelib"))
    monkeypatch.setattr(reads, "_sources", lambda: {packages / "mesh"})
    assert reads.forbidden() == ["/"]
