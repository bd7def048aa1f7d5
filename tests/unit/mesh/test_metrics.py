"""What every /metrics shows."""

from __future__ import annotations

from prometheus_client import generate_latest

from mesh import log
from tests.unit.serving import new_metrics, sample


def test_two_processes_in_one_test_do_not_share() -> None:
    one, other = new_metrics("ingest"), new_metrics("render")
    one.custody_photos.inc()
    assert sample(one, "mayfly_custody_photos", service="ingest") == 1
    assert sample(other, "mayfly_custody_photos", service="render") == 0


def test_everything_is_there_before_the_first_photo() -> None:
    text = generate_latest(new_metrics().registry).decode()
    for name in (
        'mayfly_build_info{service="ingest",version="test"} 1.0',
        'mayfly_custody_photos{service="ingest"} 0.0',
        'mayfly_custody_bytes{service="ingest"} 0.0',
        'mayfly_custody_oldest_seconds{service="ingest"} 0.0',
        'mayfly_custody_overdue_photos{service="ingest"} 0.0',
        "process_resident_memory_bytes",
    ):
        assert name in text


def test_withheld_fields_are_read_when_asked_for() -> None:
    metrics = new_metrics()
    before = sample(metrics, "mayfly_log_fields_withheld")
    log._allow(None, "info", {"secret": 1})
    assert sample(metrics, "mayfly_log_fields_withheld") == before + 1
