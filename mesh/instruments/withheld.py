"""What metrics were asked to say and may not: counted and, once for each metric, logged; never printed (rule R7)."""

from __future__ import annotations

from mesh.log import get_logger

_log = get_logger()
count = 0
"""How many values were not emitted since the start."""
_known: set[str] = set()


def withhold(metric: str) -> None:
    """``metric`` was given a label's value, or an exemplar, that isn't on its list. What it was goes nowhere."""
    global count  # noqa: PLW0603 - one process, one count; read by the metrics collector
    count += 1
    if metric not in _known:
        _known.add(metric)
        _log.error("metric_value_withheld", fact=metric)
