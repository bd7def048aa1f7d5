"""A real mesh under a real Prometheus: no alert fires while all is well, one fires of each fault, and no other."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients.local import ops
from clients.local.mesh import LocalMesh
from clients.observe import deployed
from clients.observe.workload import Workload, photo
from clients.sdk.client import MayflyClient
from mesh.testing.wait import eventually
from services.metrics import CATALOGUE
from tests.deploy.panels import firing, get
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


def test_what_alerts_watch_for_a_rise_is_there_from_the_start(mesh: LocalMesh) -> None:
    """A value that comes with its first event is no rise to ``increase()``."""
    watched = set(re.findall(r"increase\((\w+)(?:\{[^}]*\})?\[10m\]", deployed.RULES.read_text()))
    assert watched > {"mayfly_unleased_photos_total", "mayfly_isolation_jobs_total"}
    for service in SERVICES:
        samples = ops.metrics(mesh.ops_address(service))
        for metric in (metric for metric in CATALOGUE if metric.name in watched and service in metric.services):
            labels = [label for label in metric.labels if label.name != "service" or service == "purge"]
            declared = set(itertools.product(*(label.values for label in labels)))
            there = {
                tuple(sample.labels[label.name] for label in labels) for sample in samples if sample.name == metric.name
            }
            assert there == declared, f"{service}: {metric.name}"


@pytest.mark.timeout(300)
async def test_no_lease_is_unaccounted_for_and_each_fault_fires_its_alert_and_no_other(
    mesh: LocalMesh, prometheus: PrometheusServer
) -> None:
    seen = set[frozenset[str]]()

    def fires(*alerts: str) -> Callable[[], bool]:
        """Whether exactly these do."""

        def look() -> bool:
            seen.add(now := frozenset(firing(prometheus.url)))
            return now == set(alerts)

        return look

    await eventually(lambda: _value(prometheus, "count(up == 1)") == len(SERVICES), within=30, every=0.2)
    async with MayflyClient(mesh.gateway_address, mesh.ca_file, mesh.token()) as client:
        work = Workload(client, await client.scenes(), photo())
        await work.round()
        assert dict(work.failed) == {}
        # The one that nobody collects ends with its lease.
        await eventually(lambda: _value(prometheus, "sum(mayfly_leases_ended_total)") == 7, within=60, every=0.5)
    assert _value(prometheus, "sum(mayfly_leases_granted_total)") == 7
    assert _value(prometheus, "mayfly:leases_unaccounted") == 0
    assert firing(prometheus.url) == set()

    for name, alert in (("ingest", "MayflyServiceDown"), ("valkey", "MayflyRegistryDown")):
        await asyncio.to_thread(mesh.kill, name)
        await eventually(fires(alert), within=60, every=0.2)
        await asyncio.to_thread(mesh.restart, name)
        await eventually(fires(), within=60, every=0.2)
    assert seen == {frozenset[str](), frozenset({"MayflyServiceDown"}), frozenset({"MayflyRegistryDown"})}


def _value(prometheus: PrometheusServer, expression: str) -> float:
    result = get(prometheus.url, "/api/v1/query", query=expression)["result"]
    return float(result[0]["value"][1]) if result else float("nan")
