"""The ops port by mutual TLS, over real connections: who gets in, what he sees, and whom he believes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from mesh import probe
from mesh.errors import ConfigError
from mesh.health import Health
from mesh.ops import CALLER, OpsServer
from mesh.ops_ports import SCHEME, OpsPorts
from mesh.ops_tls import MutualTls
from tests.unit.mutual_tls import certificate, mutual_tls
from tests.unit.serving import TRUST_DOMAIN, new_metrics


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.health = Health()
        self.server = OpsServer("127.0.0.1:0", new_metrics().registry, self.health, mutual_tls(folder, "ingest"))

    def status(self, caller: str, path: str, service: str = "ingest", **how: Any) -> int:
        ports = OpsPorts(mutual_tls(self.folder, caller, **how))
        connection = ports.connection(SCHEME + self.server.address, service)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    async def ask(self, *args: str, **how: Any) -> int:
        return await asyncio.to_thread(self.status, *args, **how)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    await world.server.start()
    yield world
    await world.server.stop()


@pytest.mark.parametrize(
    ("caller", "metrics"),
    [("prometheus", 200), ("auditor", 200), ("gateway", 403), ("ingest", 403), ("operator", 403), ("purge", 403)],
)
async def test_metrics_are_for_those_who_keep_watch_and_health_is_for_the_mesh(
    world: World, caller: str, metrics: int
) -> None:
    assert await world.ask(caller, "/metrics") == metrics
    assert [await world.ask(caller, path) for path in ("/healthz", "/readyz", "/log")] == [200, 200, 404]


async def test_our_ca_without_an_identity_opens_no_page(world: World) -> None:
    """The gateway's face towards apps is of the same CA."""
    for path in ("/metrics", "/healthz", "/log/checkpoint", "/"):
        assert await world.ask("public", path, spiffe=False) == 403


async def test_another_ca_or_none_does_not_get_past_the_handshake(world: World) -> None:
    with pytest.raises(OSError):
        await world.ask("prometheus", "/healthz", ca="theirs")
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
    host, _, port = world.server.address.rpartition(":")

    def unnamed() -> None:
        connection = http.client.HTTPSConnection(host, int(port), timeout=5, context=stranger)
        connection.request("GET", "/healthz")
        connection.getresponse()

    with pytest.raises((OSError, http.client.HTTPException)):
        await asyncio.to_thread(unnamed)


async def test_no_plain_http(world: World) -> None:
    def plain() -> int:
        connection = http.client.HTTPConnection(world.server.address, timeout=5)
        connection.request("GET", "/healthz")
        return connection.getresponse().status

    with pytest.raises((ConnectionError, http.client.BadStatusLine)):  # whatever the status: there is none
        await asyncio.to_thread(plain)


async def test_somebody_else_is_not_believed(world: World) -> None:
    with pytest.raises(ssl.SSLError, match="somebody else"):
        await world.ask("prometheus", "/metrics", "purge")
    assert await world.ask("prometheus", "/metrics", "") == 200
    address = SCHEME + world.server.address
    with pytest.raises(PermissionError):
        await asyncio.to_thread(OpsPorts(mutual_tls(world.folder, "render")).fetch, address, "ingest", "/metrics")
    with pytest.raises(OSError, match="no certificate"):
        OpsPorts().fetch(address, "ingest", "/metrics")


async def test_who_hangs_in_the_handshake_keeps_nobody_waiting(world: World) -> None:
    host, _, port = world.server.address.rpartition(":")
    with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))) as half:
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert await world.ask("prometheus", "/metrics") == 200


async def test_a_mount_knows_its_caller(world: World) -> None:
    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        yield environ[CALLER].encode()
        yield b" " + environ["wsgi.url_scheme"].encode()

    world.server.mount("/evidence", app)
    ports = OpsPorts(mutual_tls(world.folder, "operator"))
    body = await asyncio.to_thread(ports.fetch, SCHEME + world.server.address, "ingest", "/evidence")
    assert body.startswith(b"operator")


async def test_garbage_prints_nothing(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    host, _, port = world.server.address.rpartition(":")
    for data in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01garbage" * 10):
        with socket.create_connection((host, int(port))) as connection, contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(5)
            await asyncio.to_thread(connection.recv, 65536)
    assert await world.ask("prometheus", "/metrics") == 200
    assert capfd.readouterr() == ("", "")


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    cert, key, ca = certificate(tmp_path, "ingest")
    other = certificate(tmp_path, "render")
    for files in ((cert, other[1], ca), (cert, key, tmp_path / "nowhere"), (key, key, ca)):
        with pytest.raises(ConfigError, match="can't be used for TLS"):
            MutualTls(*files, TRUST_DOMAIN)


async def test_the_probe_asks_as_the_process_serves(world: World) -> None:
    cert, key, ca = certificate(world.folder, "ingest")
    told = {
        "MAYFLY_OPS_LISTEN": "0.0.0.0:" + world.server.address.rpartition(":")[2],
        "MAYFLY_OPS_TLS": "mutual",
        "MAYFLY_TLS_CERT": str(cert),
        "MAYFLY_TLS_KEY": str(key),
        "MAYFLY_TLS_CA": str(ca),
        "MAYFLY_TRUST_DOMAIN": TRUST_DOMAIN,
    }
    assert await asyncio.to_thread(probe.is_ready, told)
    assert not await asyncio.to_thread(probe.is_ready, told | {"MAYFLY_TRUST_DOMAIN": "other.example"})
    assert not await asyncio.to_thread(probe.is_ready, told | {"MAYFLY_OPS_TLS": "insecure"})
    assert not await asyncio.to_thread(probe.is_ready, told | {"MAYFLY_TLS_KEY": "nowhere"})
    assert not await asyncio.to_thread(probe.is_ready, {})
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "mesh.probe"], env=told, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, b"")
    world.health.checks["engine"] = lambda: False
    assert not await asyncio.to_thread(probe.is_ready, told)


async def test_the_probe_of_a_plain_port() -> None:
    server = OpsServer("127.0.0.1:0", new_metrics().registry, Health())
    await server.start()
    assert await asyncio.to_thread(probe.is_ready, {"MAYFLY_OPS_LISTEN": server.address})
    address = server.address
    await server.stop()
    assert not await asyncio.to_thread(probe.is_ready, {"MAYFLY_OPS_LISTEN": address})


def test_the_probe_is_light() -> None:
    """It runs every few seconds in each container."""
    heavy = ("grpc", "cryptography", "pydantic", "structlog")
    code = f"import sys, mesh.probe; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
