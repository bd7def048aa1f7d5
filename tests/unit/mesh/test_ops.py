"""The ops port over real HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from mesh.errors import ConfigError
from mesh.health import Health
from mesh.ops import OpsServer
from tests.unit.serving import CANARY, new_metrics


class Ops:
    def __init__(self, address: str = "127.0.0.1:0") -> None:
        self.health = Health()
        self.server = OpsServer(address, new_metrics().registry, self.health)

    async def get(self, path: str, method: str = "GET") -> tuple[int, str, http.client.HTTPMessage]:
        return await asyncio.to_thread(self._get, path, method)

    def _get(self, path: str, method: str) -> tuple[int, str, http.client.HTTPMessage]:
        host, _, port = self.server.address.rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=5)
        connection.request(method, path)
        response = connection.getresponse()
        try:
            return response.status, response.read().decode(), response.headers
        finally:
            connection.close()


@pytest.fixture
async def ops() -> AsyncIterator[Ops]:
    ops = Ops()
    await ops.server.start()
    yield ops
    await ops.server.stop()


async def test_metrics(ops: Ops) -> None:
    status, body, headers = await ops.get("/metrics")
    assert (status, headers.get_content_type()) == (200, "text/plain")
    assert "mayfly_custody_photos" in body


async def test_healthz_answers_whatever_is_wrong(ops: Ops) -> None:
    ops.health.checks["never"] = lambda: False
    assert (await ops.get("/healthz"))[:2] == (200, "ok\n")


async def test_readyz_names_what_fails(ops: Ops) -> None:
    ready = True
    ops.health.checks["engine"] = lambda: ready
    assert (await ops.get("/readyz"))[:2] == (200, '{"failing": []}\n')
    ready = False
    status, body, headers = await ops.get("/readyz")
    assert (status, json.loads(body), headers["Cache-Control"]) == (503, {"failing": ["engine"]}, "no-store")
    await ops.health.drain()
    assert json.loads((await ops.get("/readyz"))[1]) == {"failing": ["draining", "engine"]}


async def test_unknown_paths(ops: Ops) -> None:
    for path in ("/", "/metricsx", "/healthz/", "/../etc/passwd", "/log"):
        assert (await ops.get(path))[0] == 404


async def test_a_mount_has_its_prefix_only(ops: Ops) -> None:
    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    ops.server.mount("/log/", app)
    assert (await ops.get("/log/tile/0/000"))[:2] == (200, "/log/tile/0/000")
    assert (await ops.get("/log"))[0] == 404


async def test_a_bug_in_a_mount_is_a_bare_500_and_no_traceback(ops: Ops, capfd: pytest.CaptureFixture[str]) -> None:
    def app(_environ: dict[str, Any], _start: Any) -> Iterable[bytes]:
        raise ValueError(CANARY)

    ops.server.mount("/log/", app)
    status, body, _ = await ops.get("/log/x")
    assert (status, body) == (500, "internal error\n")
    assert (await ops.get("/healthz"))[0] == 200
    said = "".join(capfd.readouterr())
    assert CANARY not in said
    assert "Traceback" not in said


async def test_a_check_that_raises_is_not_readiness(ops: Ops) -> None:
    def broken() -> bool:
        raise RuntimeError(CANARY)

    ops.health.checks["broken"] = broken
    status, body, _ = await ops.get("/readyz")
    assert status == 500
    assert CANARY not in body


async def test_garbage_and_hang_ups_do_not_print(ops: Ops, capfd: pytest.CaptureFixture[str]) -> None:
    host, _, port = ops.server.address.rpartition(":")
    for line in (
        b"",
        b"\x16\x03\x01garbage\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n",
        f"GET /{CANARY} HTTP/1.0\r\n\r\n".encode(),
    ):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            await asyncio.to_thread(connection.recv, 65536)
    assert (await ops.get("/healthz"))[0] == 200
    assert capfd.readouterr() == ("", "")


async def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"MAYFLY_OPS_LISTEN: 127.0.0.1:{port} can't be bound"):
            await Ops(f"127.0.0.1:{port}").server.start()


def loopbacks() -> list[str]:
    """IPv6 too, where the machine has it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return ["127.0.0.1"]
    return ["127.0.0.1", "[::1]"]


@pytest.mark.parametrize("host", loopbacks())
async def test_both_families(host: str) -> None:
    ops = Ops(f"{host}:0")
    await ops.server.start()
    assert ops.server.address.startswith(f"{host}:")
    assert (await ops.get("/healthz"))[0] == 200
    await ops.server.stop()


async def test_stopping_does_not_stop_the_loop() -> None:
    ops = Ops()
    await ops.server.start()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await ops.server.stop()
    ticking.cancel()
    assert ticks > 10


async def test_stopping_what_never_started() -> None:
    await Ops().server.stop()
