"""A label says what is on its list, whoever asks for what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from mesh.instruments import declare, withheld
from mesh.instruments.label import listed, sourced
from tests.unit.serving import CANARY

OUTCOME = listed("outcome", ("good", "bad"))
REASON = listed("reason", ("FULL",), other=True)
PLACE = sourced("place", "a list", 2)
RESULTS = declare.Counter(name="results_total", help=".", unit="results", services=("x",), labels=(OUTCOME,))
REFUSED = declare.Counter(name="refused_total", help=".", unit="photos", services=("x",), labels=(REASON,))
PLACES = declare.Gauge(name="places", help=".", unit="places", services=("x",), labels=(PLACE,))
TIMES = declare.Histogram(
    name="times_seconds", help=".", unit="seconds", services=("x",), labels=(OUTCOME,), buckets=(1, 2)
)
PAIRS = declare.Counter(
    name="pairs_total", help=".", unit="pairs", services=("x",), labels=(OUTCOME, REASON), combined=2
)


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of metrics that were asked for something else; here that is no failure of the test."""
    names: list[str] = []
    monkeypatch.setattr(withheld, "withhold", names.append)
    yield names


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_what_is_listed(registry: CollectorRegistry, counted: list[str]) -> None:
    family = RESULTS.family(registry)
    family.labels("good").inc()
    family.labels("good").inc(2)
    assert family.labels("good") is family.labels("good")
    assert registry.get_sample_value("results_total", {"outcome": "good"}) == 3
    assert counted == []


@pytest.mark.parametrize("value", [CANARY, "", "Good", "good\n", "other"])
def test_what_is_not_listed_leads_nowhere(registry: CollectorRegistry, counted: list[str], value: str) -> None:
    RESULTS.family(registry).labels(value).inc()
    PLACES.family(registry).labels(value).set(1)
    PLACES.family(CollectorRegistry()).labels(value).set_function(lambda: 1)
    TIMES.family(registry).labels(value).observe(1)
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    assert lines == []
    assert counted == ["results_total", "places", "places", "times_seconds"]


def test_where_sums_must_hold_it_is_another_one(registry: CollectorRegistry, counted: list[str]) -> None:
    family = REFUSED.family(registry)
    for reason in ("FULL", CANARY, "ELSE"):
        family.labels(reason).inc()
    assert registry.get_sample_value("refused_total", {"reason": "other"}) == 2
    assert CANARY not in generate_latest(registry).decode()
    assert counted == ["refused_total"] * 2


def test_a_source_is_bounded_and_gives_plain_names_only(registry: CollectorRegistry, counted: list[str]) -> None:
    family = PLACES.family(registry)
    family.admit(place=("purge:9000", "a b", "", "x" * 200, "[::1]:9000", "purge:9000", "third"))
    for value in ("purge:9000", "[::1]:9000"):
        family.labels(value).set(1)
    assert counted == ["places"] * 4, "three that are no names, and one too many"
    family.labels("third").set(1)
    assert [sample.labels["place"] for sample in next(iter(registry.collect())).samples] == ["purge:9000", "[::1]:9000"]


def test_nobody_makes_more_series_than_are_declared(registry: CollectorRegistry, counted: list[str]) -> None:
    family = PAIRS.family(registry)
    for outcome in ("good", "bad"):
        for reason in ("FULL", "other"):
            family.labels(outcome, reason).inc()
    assert sum(sample.value for sample in next(iter(registry.collect())).samples) == PAIRS.series == 2
    assert counted == ["pairs_total"] * 2


def test_what_is_read_is_checked_too(registry: CollectorRegistry, counted: list[str]) -> None:
    RESULTS.read_each(registry, lambda: {"good": 1, CANARY: 2})
    PLACES.read_each(registry, lambda: {"nobody admitted it": 3})
    text = generate_latest(registry).decode()
    assert [line for line in text.splitlines() if not line.startswith("#")] == ['results_total{outcome="good"} 1.0']
    assert counted.count("results_total") == counted.count("places") > 0


def test_a_family_can_be_emptied(registry: CollectorRegistry) -> None:
    family = PLACES.family(registry)
    family.admit(place=("a",))
    family.labels("a").set(5)
    family.clear()
    assert list(next(iter(registry.collect())).samples) == []
    family.labels("a").inc()
    assert registry.get_sample_value("places", {"place": "a"}) == 1


def test_two_metrics_of_one_name_are_a_mistake(registry: CollectorRegistry) -> None:
    PLACES.read_each(registry, dict)
    with pytest.raises(ValueError, match="Duplicated"):
        PLACES.family(registry)
    with pytest.raises(ValueError, match="other labels"):
        RESULTS.family(registry).labels("good", "bad")


def test_bounds() -> None:
    assert (RESULTS.series, REFUSED.series, PLACES.series, PAIRS.series) == (2, 2, 2, 2)
    assert TIMES.samples == 2 * (3 + 2), "buckets, +Inf, sum and count"
