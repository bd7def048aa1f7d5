"""A locked process whose ops port is reachable from elsewhere: by mutual TLS or not at all."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from clients.local.environment import Addresses, Redis, build
from clients.local.mesh import LocalMesh
from clients.local.pki import TRUST_DOMAIN, Pki
from clients.local.ports import free_ports
from mesh import probe
from mesh.ops_ports import SCHEME, OpsPorts
from mesh.ops_tls import MutualTls
from mesh.testing.wait import eventually
from tests.deploy.exposed import faults

REFUSED = 78


@contextmanager
def second_ingest(mesh: LocalMesh, **own: str) -> Iterator[tuple[subprocess.Popen[str], Mapping[str, str]]]:
    """Beside the mesh's own. own: settings without their MAYFLY_."""
    places = {name: Addresses(record.address, record.ops_address) for name, record in mesh.processes.items()}
    overrides = {f"MAYFLY_{name}": value for name, value in own.items()} | {"MAYFLY_INSTANCE": "ingest-9"}
    env = build("ingest", state=mesh.state, addresses=places, redis=Redis(), overrides=overrides)
    argv = [sys.executable, "-P", "-m", "services.ingest"]
    pipe = subprocess.PIPE  # a file would be refused
    with subprocess.Popen(argv, env=env, cwd=mesh.state.root, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process, env
        finally:
            process.kill()


@pytest.mark.timeout(60)
async def test_a_locked_process_serves_it_by_mutual_tls(mesh: LocalMesh) -> None:
    listen, ops = (f"0.0.0.0:{port}" for port in free_ports(2))
    with second_ingest(mesh, LISTEN=listen, OPS_LISTEN=ops, OPS_TLS="mutual") as (process, env):
        await eventually(lambda: process.poll() is not None or probe.is_ready(env), within=40, every=0.3)
        assert process.poll() is None, process.stderr and process.stderr.read()
        address, pki = ops.replace("0.0.0.0", "127.0.0.1"), Pki(mesh.state.pki)

        def page(caller: str) -> str:
            tls = MutualTls(pki.certificate(caller), pki.key(caller), pki.ca, TRUST_DOMAIN)
            return OpsPorts(tls).fetch(SCHEME + address, "ingest", "/metrics").decode()

        assert faults("ingest", await asyncio.to_thread(page, "prometheus")) == []
        with pytest.raises(PermissionError):
            await asyncio.to_thread(page, "gateway")
        with pytest.raises(OSError, match=r"."):
            await asyncio.to_thread(OpsPorts().fetch, address, "ingest", "/metrics")


@pytest.mark.timeout(60)
def test_it_does_not_start_where_everybody_could_read_it(mesh: LocalMesh) -> None:
    listen, ops = (f"0.0.0.0:{port}" for port in free_ports(2))
    with second_ingest(mesh, LISTEN=listen, OPS_LISTEN=ops) as (process, _):
        _, said = process.communicate(timeout=30)
    assert process.returncode == REFUSED
    assert said.startswith("ingest: MAYFLY_OPS_TLS: must be `mutual`"), said
    assert said.count("\n") == 1
