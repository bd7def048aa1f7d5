"""A real mesh, watched by a real Prometheus: after some photos every panel shows something, and nothing is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.local.mesh import LocalMesh
from clients.sdk.client import MayflyClient
from mesh.testing.wait import eventually
from tests.deploy.panels import check_panels, firing, get
from tests.deploy.programs import program
from tests.deploy.prometheus import PrometheusServer
from tests.deploy.settings import SERVICES


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[LocalMesh]:
    program("prometheus", "Debian: prometheus")  # before anything is started in vain
    with LocalMesh(tmp_path / "mesh", {"render": {"MAYFLY_RENDER_ENGINE": "null"}}) as up:
        yield up


@pytest.fixture
def prometheus(mesh: LocalMesh, tmp_path: Path) -> Iterator[PrometheusServer]:
    (tmp_path / "prometheus").mkdir()
    with PrometheusServer(tmp_path / "prometheus", {name: mesh.ops_address(name) for name in SERVICES}) as server:
        yield server


@pytest.mark.timeout(240)
async def test_panels_fill_alerts_fire_and_clear(mesh: LocalMesh, prometheus: PrometheusServer) -> None:
    async with MayflyClient(mesh.gateway_address, mesh.ca_file, mesh.token()) as client:
        await _render(client)
        await eventually(lambda: _value(prometheus, "sum(mayfly_leases_ended_total)") >= 1, within=20, every=0.2)
        await _render(client)
        with contextlib.suppress(AssertionError):
            await eventually(lambda: not check_panels(prometheus.url), within=30, every=0.5)
        assert check_panels(prometheus.url) == []
        assert firing(prometheus.url) == set()
        assert _value(prometheus, "mayfly:leases_unaccounted") == 0

        mesh.kill("ingest")
        await eventually(lambda: "MayflyServiceDown" in firing(prometheus.url), within=30, every=0.5)
        mesh.restart("ingest")
        await eventually(lambda: firing(prometheus.url) == set(), within=20, every=0.5)

        mesh.kill("valkey")
        await eventually(lambda: firing(prometheus.url) == {"MayflyRegistryDown"}, within=30, every=0.5)
        mesh.restart("valkey")
        await eventually(lambda: firing(prometheus.url) == set(), within=20, every=0.5)


async def _render(client: MayflyClient) -> None:
    import matplotlib  # only for its sample picture

    photo = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    await client.render(photo.read_bytes(), (await client.scenes())[0].scene_id)


def _value(prometheus: PrometheusServer, expression: str) -> float:
    result = get(prometheus.url, "/api/v1/query", query=expression)["result"]
    return float(result[0]["value"][1]) if result else float("nan")
