"""Another Redis than the embedded one: Debian's Redis 7 over mutual TLS, and over plain TCP on loopback."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from clients.local.mesh import LocalMesh
from clients.local.pki import Pki
from clients.local.ports import free_ports
from services.purge.acl import acl_rules, arguments
from tests.e2e import books
from tests.e2e.phone import Phone

PASSWORD = "for-purge"


@pytest.fixture(params=["rediss", "redis"])
def other(request, tmp_path: Path, monkeypatch) -> Iterator[Path]:
    """A Redis 7 server that purge is pointed at; yields the state folder whose CA has signed its certificate."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed (Debian: redis-server)")
    state = tmp_path / "state"
    pki = Pki(state / "pki")
    pki.ensure()
    acl = tmp_path / "users.acl"
    acl.write_text(acl_rules("purge", hashlib.sha256(PASSWORD.encode()).hexdigest()))
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    (port,) = free_ports(1)
    tls = request.param == "rediss"
    # Any certificate of the mesh's CA that names the host would do; the auditor's is free here.
    listen = (
        [
            "--port", "0", "--tls-port", str(port), "--tls-auth-clients", "yes",
            "--tls-cert-file", str(pki.certificate("auditor")), "--tls-key-file", str(pki.key("auditor")),
            "--tls-ca-cert-file", str(pki.ca),
        ]
        if tls
        else ["--port", str(port)]
    )  # fmt: skip
    command = [binary, "--bind", "127.0.0.1", "--aclfile", str(acl), "--dir", str(tmp_path), *listen]
    with (tmp_path / "redis.log").open("wb") as log:
        server = subprocess.Popen([*command, *arguments(valkey=False)], stdout=log, stderr=log)
    monkeypatch.setenv("MAYFLY_REDIS_URL", f"{request.param}://127.0.0.1:{port}/0")
    monkeypatch.setenv("MAYFLY_REDIS_USERNAME", "purge")
    monkeypatch.setenv("MAYFLY_REDIS_PASSWORD_FILE", str(password))
    if tls:
        monkeypatch.setenv("MAYFLY_REDIS_TLS_CA", str(pki.ca))
        monkeypatch.setenv("MAYFLY_REDIS_TLS_CERT", str(pki.certificate("purge")))
        monkeypatch.setenv("MAYFLY_REDIS_TLS_KEY", str(pki.key("purge")))
    yield state
    server.terminate()
    server.wait(10)


async def test_a_photo_s_trip_with_another_redis(other, portrait, monkeypatch):
    with LocalMesh(other, {"render": {"MAYFLY_RENDER_ENGINE": "null"}}) as mesh:
        assert "valkey" not in mesh.processes
        async with Phone(mesh) as phone:
            delivered = await (await phone.render().start("bright_day")).upload(portrait[0])
            await delivered.until("seal")
            await delivered.deliver()
            await delivered.until("receipt")
            parked = await (await phone.render().start("bright_day")).upload(portrait[0])
            await parked.until("header")
            parked.hang_up()
            photo_id, token = parked.accepted.photo_id, parked.accepted.resume_token
            await books.eventually(lambda: bool(books.leases(mesh).get("parked")), 10, "nothing is parked")
            assert (await phone.collect(photo_id, token))[-1].receipt.bundle
        with redis.Redis(**address()) as client:
            await books.eventually(lambda: not books.living(client), 10, "keys are left")
        await books.eventually(lambda: books.is_integrated(mesh), 10, "the log is behind")
        receipts = books.receipts(mesh)
    assert {receipt.outcome for receipt in receipts.values()} == {"settled"}


def address() -> dict[str, object]:
    """The server, as purge was told of it."""
    url = urlsplit(os.environ["MAYFLY_REDIS_URL"])
    options: dict[str, object] = {"host": url.hostname, "port": url.port, "username": "purge", "password": PASSWORD}
    if url.scheme == "rediss":
        options |= {
            "ssl": True,
            "ssl_ca_certs": os.environ["MAYFLY_REDIS_TLS_CA"],
            "ssl_certfile": os.environ["MAYFLY_REDIS_TLS_CERT"],
            "ssl_keyfile": os.environ["MAYFLY_REDIS_TLS_KEY"],
        }
    return options
