"""From a value to its trace: what /metrics says in OpenMetrics, a real Prometheus keeps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mesh.custody.book import LeaseRef
from mesh.health import Health
from mesh.instruments import exemplars
from mesh.ops import OpsServer
from mesh.testing.wait import eventually
from services.purge.metrics import PurgeMetrics
from tests.deploy.panels import get
from tests.deploy.prometheus import PrometheusServer
from tests.unit.serving import PURGE, FakeClock, new_book

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def tracer() -> Iterator[None]:
    exemplars.ask(lambda: {"trace_id": TRACE})
    yield
    exemplars.ask(None)


async def test_custody_and_residency_lead_to_their_traces(tmp_path: Path) -> None:
    clock = FakeClock()
    book = new_book("gateway", clock)
    purge = PurgeMetrics(book.metrics.registry)
    ops = OpsServer("127.0.0.1:0", book.metrics.registry, Health())
    book.attend(PURGE)
    await ops.start()
    with PrometheusServer(tmp_path, {"gateway": ops.address}) as prometheus:
        # Not before: a histogram that is scraped for the first time has no rise yet, but exemplars it may have.
        custody = book.hold(LeaseRef("a" * 32, clock.wall() + 60), lambda _: None)
        clock.advance(0.3)
        custody.release()
        purge.residency.labels("settled").observe(20)
        for name in ("mayfly_custody_seconds", "mayfly_residency_seconds"):
            found = partial(_exemplars, prometheus.url, f"{name}_bucket")
            kept = await eventually(found, within=20, every=0.2)
            assert [each["labels"] for each in kept] == [{"trace_id": TRACE}], name
    await ops.stop()


def _exemplars(url: str, name: str) -> list[dict[str, object]]:
    now = get(url, "/api/v1/query", query="time()")["result"][1]
    series = get(url, "/api/v1/query_exemplars", query=name, start=str(float(now) - 60), end=str(now))
    return [each for one in series for each in one["exemplars"]]
