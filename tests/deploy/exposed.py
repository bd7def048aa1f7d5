"""What a process shows on /metrics, beside the list of all metrics: nothing else, as it is declared, all of it."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from mesh.instruments.declare import Metric
from mesh.instruments.label import Label, is_plain
from services.metrics import BY_NAME, CATALOGUE, GROUPS, MOST_SAMPLES

_ONLY_WITH_A_POOL = {metric.name for metric in GROUPS["Inference pools, in render"]}


def faults(service: str, text: str, *, pool: bool = False) -> list[str]:
    """What is wrong with ``text``, a line for each; empty when it is what services/metrics.py says of ``service``.

    pool: whether this render uses inference pools.
    """
    families = list(text_string_to_metric_families(text))
    shown = {_name(family) for family in families}
    expected = {metric.name for metric in CATALOGUE if service in metric.services}
    if not pool:
        expected -= _ONLY_WITH_A_POOL
    found = [f"{name} is listed, and never shown" for name in sorted(expected - shown)]
    for family in families:
        found += _of_family(service, family)
    lines = sum(len(family.samples) for family in families)
    if lines > MOST_SAMPLES[service]:
        found.append(f"{lines} lines are more than the {MOST_SAMPLES[service]} that there may be")
    return found


def _of_family(service: str, family: Family) -> Iterator[str]:
    name = _name(family)
    metric = BY_NAME.get(name)
    if metric is None:
        yield f"{name} is not listed"
        return
    if (family.type, family.documentation) != (metric.kind, metric.help):
        yield f"{name} is declared as {metric.kind}: {metric.help}"
    if family.samples and service not in metric.services:
        yield f"{name} is not {service}'s"
    series = {tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le")) for sample in family.samples}
    if len(series) > metric.series:
        yield f"{name} has {len(series)} series, more than {metric.series}"
    for values in series:
        yield from _of_series(metric, dict(values))


def _of_series(metric: Metric, values: dict[str, str]) -> Iterator[str]:
    if set(values) != set(metric.label_names):
        yield f"{metric.name} has the labels {sorted(values)}"
        return
    for label in metric.labels:
        if not _may_say(label, values[label.name]):
            yield f"{metric.name}: {label.name} may not be {values[label.name]!r}"


def _may_say(label: Label, value: str) -> bool:
    return value in label.values or (bool(label.source) and is_plain(value))


def _name(family: Family) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name
