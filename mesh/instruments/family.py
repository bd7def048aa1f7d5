"""A metric with labels, in one process: its series, each made from listed values and kept for the next time.

Finding a series here is a look-up in a dictionary: a seventh of what prometheus_client's own ``labels`` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from prometheus_client.metrics import MetricWrapperBase

from mesh.instruments import withheld
from mesh.instruments.label import OTHER, Label, is_plain

C = TypeVar("C", bound=MetricWrapperBase)


class Admitted:
    """Which values the labels of one metric may have in this process."""

    def __init__(self, metric: str, labels: tuple[Label, ...]) -> None:
        self.metric = metric
        self.labels = labels
        self._values = [set(label.values) for label in labels]

    def admit(self, name: str, values: Iterable[str]) -> None:
        """Values of a label that has a source. Those beyond its bound, and what is no plain name, are withheld."""
        at = next(n for n, label in enumerate(self.labels) if label.name == name and label.source)
        for value in values:
            if value in self._values[at]:
                continue
            if len(self._values[at]) >= self.labels[at].bound or not is_plain(value):
                withheld.withhold(self.metric)
            else:
                self._values[at].add(value)

    def check(self, values: tuple[str, ...]) -> tuple[str, ...] | None:
        """The values as they may be emitted; None if they may not be. What isn't listed is counted."""
        if len(values) != len(self.labels):
            raise ValueError(f"{self.metric} has other labels than that")
        checked = []
        for value, known in zip(values, self._values, strict=True):
            if value not in known:
                withheld.withhold(self.metric)
                if OTHER not in known:
                    return None
                value = OTHER  # noqa: PLW2901
            checked.append(str(value))
        return tuple(checked)


class Family(Generic[C]):
    """``labels`` gives the series of these values; one that leads nowhere if they may not be emitted."""

    def __init__(self, parent: C, admitted: Admitted, at_most: int, nowhere: Callable[[], C]) -> None:
        self._parent = parent
        self._admitted = admitted
        self._at_most = at_most
        self._series: dict[tuple[str, ...], C] = {}
        self._nowhere = nowhere

    @property
    def label_set(self) -> tuple[Label, ...]:
        """Its labels, in order."""
        return self._admitted.labels

    def admit(self, **values: Iterable[str]) -> None:
        """By label: what its source says."""
        for name, some in values.items():
            self._admitted.admit(name, some)

    def labels(self, *values: str) -> C:
        """In the order in which the metric is declared."""
        series = self._series.get(values)
        return series if series is not None else self._first(values)

    def clear(self) -> None:
        """Removes all series."""
        self._series.clear()
        self._parent.clear()

    def _first(self, values: tuple[str, ...]) -> C:
        checked = self._admitted.check(values)
        if checked is None:
            return self._nowhere()
        if (series := self._series.get(checked)) is not None:
            return series
        if len(self._series) >= self._at_most:
            withheld.withhold(self._admitted.metric)
            return self._nowhere()
        return self._series.setdefault(checked, self._parent.labels(*checked))
