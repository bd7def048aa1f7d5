"""What compares /metrics with the list of all metrics sees each thing that could be wrong."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from tests.deploy.exporter import Mesh
from tests.deploy.exposed import faults
from tests.deploy.settings import AUDITOR, SERVICES


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """service → its /metrics."""
    mesh = Mesh(tmp_path_factory.mktemp("mesh"))
    return {service: generate_latest(metrics.registry).decode() for service, metrics in mesh.metrics.items()}


@pytest.mark.parametrize("service", [*SERVICES, AUDITOR])
def test_the_true_metrics_are_what_is_listed(shown: dict[str, str], service: str) -> None:
    assert faults(service, shown[service], pool=True) == []


@pytest.mark.parametrize(
    ("text", "other", "fault"),
    [
        ("mayfly_custody_photos", "mayfly_photos", "mayfly_photos is not listed"),
        ("Photos that this process holds now.", "Photos.", "mayfly_custody_photos is declared as gauge"),
        ('mayfly_sweeps_total{outcome="', 'mayfly_sweeps_total{ending="', "has the labels"),
        ('mayfly_ingest_photos_total{format="jpeg"}', 'mayfly_ingest_photos_total{format="IMG_1234"}', "may not be"),
        ("# TYPE mayfly_build_info gauge", "# TYPE mayfly_build_info untyped", "mayfly_build_info is declared as"),
        ('version="0.0.0"', 'version="a b"', "version may not be"),
    ],
)
def test_what_is_not_listed_is_seen(shown: dict[str, str], text: str, other: str, fault: str) -> None:
    assert text in shown["ingest"]
    found = faults("ingest", shown["ingest"].replace(text, other))
    assert any(fault in line for line in found), found


def test_what_is_missing_and_what_is_anothers_is_seen(shown: dict[str, str]) -> None:
    assert "mayfly_ingest_photos_total is listed, and never shown" in faults("ingest", shown["gateway"])
    assert "mayfly_gateway_photos_in_flight is not ingest's" in faults("ingest", shown["gateway"])
