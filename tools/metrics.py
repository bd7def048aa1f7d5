"""docs/metrics.md, made of the list of all metrics: ``python -m tools.metrics`` writes it, ``--check`` compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mesh.instruments.declare import SERVICES, Histogram, Metric
from mesh.instruments.label import Label
from services.metrics import CATALOGUE, GROUPS, MOST_SAMPLES

PAGE = Path(__file__).parent.parent / "docs/metrics.md"
_HEAD = """# Metrics

Everything that `/metrics` of Mayfly's processes can say. This page is made of the code that says it
([services/metrics.py](../services/metrics.py)); `make metrics` writes it anew, `make lint` compares.

A label has a list of values, here, or a source that only a process knows, with a bound. A value that isn't listed is
not emitted: it is counted (`mayfly_metric_values_withheld_total`), or becomes `other` where that is on the list. So no
metric can carry what a photo, a file's name, a user or a client says (rule R7), and nobody can make more series than
stand here. Histograms marked *traced* can carry exemplars: the random id of a trace and nothing else, in OpenMetrics
(`Accept: application/openmetrics-text`; Prometheus keeps them with `--enable-feature=exemplar-storage`).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for title, group in GROUPS.items() for line in _group(title, group)), *_bounds()])


def _group(title: str, group: Sequence[Metric]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield "| metric | kind, unit | what it says | labels | shown by |"
    yield "| --- | --- | --- | --- | --- |"
    yield from map(_row, group)
    yield ""
    labels = {label: None for metric in group for label in metric.labels}
    if labels:
        yield "What the labels say:"
        yield from (_label(label, group) for label in labels)
        yield ""
    histograms = [metric for metric in group if isinstance(metric, Histogram)]
    if histograms:
        yield "Upper bounds of buckets:"
        for buckets in dict.fromkeys(metric.buckets for metric in histograms):
            names = ", ".join(f"`{metric.name}`" for metric in histograms if metric.buckets == buckets)
            yield f"- {names}: {', '.join(f'{bound:g}' for bound in buckets)}"
        yield ""


def _row(metric: Metric) -> str:
    traced = ", traced" if isinstance(metric, Histogram) and metric.traced else ""
    labels = ", ".join(f"`{name}`" for name in metric.label_names)
    return f"| `{metric.name}` | {metric.kind}, {metric.unit}{traced} | {metric.help} | {labels} | {_who(metric)} |"


def _who(metric: Metric) -> str:
    return "all" if set(metric.services) == set(SERVICES) else ", ".join(metric.services)


def _label(label: Label, group: Sequence[Metric]) -> str:
    same = [metric.name for metric in group if label in metric.labels]
    others = {each for metric in group for each in metric.labels if each.name == label.name} - {label}
    where = f" of {', '.join(f'`{name}`' for name in same)}" if others else ""
    said = ", ".join(f"`{value}`" for value in label.values)
    sourced = f"at most {label.at_most} from {label.source}" if label.source else ""
    return f"- `{label.name}`{where}: {'; '.join(part for part in (said, sourced) if part)}"


def _bounds() -> Iterator[str]:
    yield "## How much that is at most"
    yield ""
    yield f"{len(CATALOGUE)} metrics. Lines of `/metrics` that one process can have, whatever happens:"
    yield ""
    yield "| " + " | ".join(MOST_SAMPLES) + " |"
    yield "| " + " | ".join("---:" for _ in MOST_SAMPLES) + " |"
    yield "| " + " | ".join(f"{most:,}" for most in MOST_SAMPLES.values()) + " |"
    yield ""


def main(arguments: Sequence[str]) -> int:
    """1 if the page is to be checked and isn't what the code says."""
    made = page()
    if "--check" in arguments:
        if PAGE.is_file() and PAGE.read_text("utf-8") == made:
            return 0
        print("docs/metrics.md is not what the code says; run `make metrics`", file=sys.stderr)  # noqa: T201
        return 1
    PAGE.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
