"""Exemplars: the trace in which a value was measured, kept beside the bucket that the value fell into.

An exemplar is a random trace id and nothing else (R7). Prometheus gets them by OpenMetrics, and keeps them only with
``--enable-feature=exemplar-storage``. Source: OpenMetrics 1.0, "Exemplars".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from prometheus_client import Histogram

from mesh.instruments import withheld

TRACE_ID = re.compile(r"[0-9a-f]{32}")
Source = Callable[[], Mapping[str, str] | None]


def _none() -> None:
    return None


_source: Source = _none


def ask(source: Source | None) -> None:
    """From now on ``source`` is asked for the exemplar of each value: ``{"trace_id": 32 hex digits}``, or None.

    One process, one source. None: nobody is asked. It is called on hot paths, in whatever task or thread measures.
    """
    global _source  # noqa: PLW0603 - one process, one tracer
    _source = source or _none


def current() -> dict[str, str] | None:
    """What the source says now; None, and counted as withheld, for anything that is more, or other, than a trace id."""
    found = _source()
    if not found:
        return None
    if len(found) != 1 or not TRACE_ID.fullmatch(found.get("trace_id", "")):
        withheld.withhold("exemplars")
        return None
    return dict(found)


class TracedHistogram(Histogram):
    """A histogram whose values lead to their traces."""

    def observe(self, amount: float, exemplar: Mapping[str, str] | None = None) -> None:
        """exemplar: by default the current one."""
        super().observe(amount, current() if exemplar is None else dict(exemplar))
