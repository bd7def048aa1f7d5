"""What may not be said is counted, and once for each metric logged; it itself is nowhere."""

from __future__ import annotations

import pytest

from mesh.instruments import exemplars, withheld
from tests.unit.serving import CANARY, new_metrics, sample


def test_the_count_is_a_metric(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.undo()  # what fails all other tests
    monkeypatch.setattr(withheld, "_known", set())
    before = withheld.count
    metrics = new_metrics()
    try:
        metrics.custody_dropped.labels("ingest", CANARY).inc()
        metrics.custody_dropped.labels("ingest", CANARY).inc()
        exemplars.ask(lambda: {"trace_id": CANARY})
        metrics.custody_seconds.observe(1)
        assert sample(metrics, "mayfly_metric_values_withheld_total") == before + 3
    finally:
        exemplars.ask(None)
        withheld.count = before
    assert CANARY not in "".join(capsys.readouterr())
