"""Metrics as they are declared: name, unit, help, labels with all that they may say, and how many series that makes.

A declaration is a constant of the module that emits it. ``services/metrics.py`` collects all of them; docs/metrics.md
is made of that. Names follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Samples
from prometheus_client.metrics import disable_created_metrics
from prometheus_client.registry import Collector

from mesh.instruments.exemplars import TracedHistogram
from mesh.instruments.family import Admitted, Family
from mesh.instruments.label import Label

disable_created_metrics()  # type: ignore[no-untyped-call] # a third more series, of which nothing here makes use

SERVICES = ("gateway", "ingest", "render", "purge", "auditor")
HOLDERS = ("gateway", "ingest", "render")
Kind = Literal["counter", "gauge", "histogram"]
Read = Callable[[], float]
ReadMany = Callable[[], Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """name: as /metrics has it. help: one sentence. unit: what one is, in the plural: "seconds", "photos".

    services:  whose /metrics has it.
    combined:  the most series that one process can have, where labels depend on each other; 0: each with each.
    """

    name: str
    help: str
    unit: str
    services: tuple[str, ...]
    labels: tuple[Label, ...] = ()
    combined: int = 0
    kind: ClassVar[Kind]

    @property
    def series(self) -> int:
        """How many combinations of labels' values one process can have."""
        every = math.prod(label.bound for label in self.labels)
        return min(self.combined, every) if self.combined else every

    @property
    def samples(self) -> int:
        """How many lines of /metrics that is at most."""
        return self.series

    @property
    def sample_names(self) -> tuple[str, ...]:
        """The names by which queries ask for it."""
        return (self.name,)

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    def _admitted(self) -> Admitted:
        return Admitted(self.name, self.labels)


class Counter(Metric):
    """Only grows, while a process lives."""

    kind: ClassVar[Kind] = "counter"

    def on(self, registry: CollectorRegistry) -> prometheus_client.Counter:
        return prometheus_client.Counter(self.name, self.help, registry=registry)

    def family(self, registry: CollectorRegistry) -> Family[prometheus_client.Counter]:
        parent = prometheus_client.Counter(self.name, self.help, self.label_names, registry=registry)
        return Family(
            parent, self._admitted(), self.series, lambda: prometheus_client.Counter(self.name, ".", registry=None)
        )

    def read(self, registry: CollectorRegistry, read: Read) -> None:
        """Its value is what ``read`` says at each scrape."""
        registry.register(_Reading(self, CounterMetricFamily, lambda: {"": read()}))

    def read_each(self, registry: CollectorRegistry, read: ReadMany) -> None:
        """One label's value → the series' value."""
        registry.register(_Reading(self, CounterMetricFamily, read))


class Gauge(Metric):
    """Goes up and down."""

    kind: ClassVar[Kind] = "gauge"

    def on(self, registry: CollectorRegistry) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(self.name, self.help, registry=registry)

    def family(self, registry: CollectorRegistry) -> Family[prometheus_client.Gauge]:
        parent = prometheus_client.Gauge(self.name, self.help, self.label_names, registry=registry)
        return Family(
            parent, self._admitted(), self.series, lambda: prometheus_client.Gauge(self.name, ".", registry=None)
        )

    def read(self, registry: CollectorRegistry, read: Read) -> None:
        """Its value is what ``read`` says at each scrape."""
        registry.register(_Reading(self, GaugeMetricFamily, lambda: {"": read()}))

    def read_each(self, registry: CollectorRegistry, read: ReadMany) -> None:
        """One label's value → the series' value."""
        registry.register(_Reading(self, GaugeMetricFamily, read))


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram(Metric):
    """buckets: upper bounds, ascending, without +Inf. traced: whether its values lead to their traces."""

    buckets: tuple[float, ...]
    traced: bool = False
    kind: ClassVar[Kind] = "histogram"

    @property
    def samples(self) -> int:
        return self.series * (len(self.buckets) + 3)

    @property
    def sample_names(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))

    def on(self, registry: CollectorRegistry | None) -> prometheus_client.Histogram:
        made = TracedHistogram if self.traced else prometheus_client.Histogram
        return made(self.name, self.help, buckets=self.buckets, registry=registry)

    def family(self, registry: CollectorRegistry) -> Family[prometheus_client.Histogram]:
        made = TracedHistogram if self.traced else prometheus_client.Histogram
        parent: prometheus_client.Histogram = made(
            self.name, self.help, self.label_names, buckets=self.buckets, registry=registry
        )
        return Family(parent, self._admitted(), self.series, lambda: self.on(None))


class _Reading(Collector):
    """A metric that can't drift from the truth, since it is read from it."""

    def __init__(
        self, metric: Metric, made: type[CounterMetricFamily] | type[GaugeMetricFamily], read: ReadMany
    ) -> None:
        self._metric = metric
        self._made = made
        self._read = read
        self._admitted = metric._admitted()

    def describe(self) -> Iterator[Samples]:
        yield self._made(self._metric.name, self._metric.help)

    def collect(self) -> Iterator[Samples]:
        family = self._made(self._metric.name, self._metric.help, labels=self._metric.label_names)
        for value, number in self._read().items():
            values = self._admitted.check((value,) if self._metric.labels else ())
            if values is not None:
                family.add_metric(values, number)
        yield family


def declared_in(module: object) -> tuple[Metric, ...]:
    """Every metric that a module declares, in its order."""
    return tuple(value for value in vars(module).values() if isinstance(value, Metric))
