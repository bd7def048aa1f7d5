"""A value leads to its trace, and to nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from prometheus_client import CollectorRegistry

from mesh.instruments import exemplars, withheld
from mesh.instruments.exemplars import TracedHistogram

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    exemplars.ask(None)


def kept(registry: CollectorRegistry) -> list[Mapping[str, str]]:
    return [sample.exemplar.labels for family in registry.collect() for sample in family.samples if sample.exemplar]


def test_nobody_is_asked_by_default() -> None:
    registry = CollectorRegistry()
    TracedHistogram("seconds", ".", registry=registry).observe(0.1)
    assert kept(registry) == []


def test_the_source_is_asked_at_each_value() -> None:
    registry = CollectorRegistry()
    histogram = TracedHistogram("seconds", ".", ("outcome",), registry=registry, buckets=(1, 2)).labels("settled")
    exemplars.ask(lambda: {"trace_id": TRACE})
    histogram.observe(0.1)
    exemplars.ask(lambda: None)
    histogram.observe(1.1)
    histogram.observe(3, {"trace_id": "f" * 32})
    assert kept(registry) == [{"trace_id": TRACE}, {"trace_id": "f" * 32}]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"trace_id": ""},
        {"trace_id": TRACE.upper()},
        {"trace_id": TRACE, "photo_id": "a" * 32},
        {"user": "somebody"},
        {"trace_id": "somebody@example.org"},
    ],
)
def test_what_is_more_than_a_trace_id_is_not_kept(said: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(withheld, "withhold", counted.append)
    exemplars.ask(lambda: said)
    assert exemplars.current() is None
    assert counted == ["exemplars"] * bool(said)
