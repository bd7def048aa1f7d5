"""Asking a Prometheus the queries of the definitions, as of the period's end or of just before now."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from clients.evidence.definitions import DEFINITIONS
from clients.evidence.period import Period
from mesh.errors import Unavailable

_SECONDS = 30.0  # a query over a month reads a month
_MAX = 16 << 20  # bytes of an answer
Series = dict[str, object]


ARRIVED = 10
"""Seconds after which Prometheus has every sample of a moment, so that whoever asks about it again hears the same."""


def ask(
    url: str, period: Period, at: int, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, dict[str, object]]:
    """Query → its series: labels and value, as text. "error" instead where Prometheus refused it.

    at: the moment that is asked about, Unix seconds; the queries look back from it over the period's length.

    Raises Unavailable("PROMETHEUS_UNREACHABLE"), ValueError for what is no http or https URL.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("a Prometheus is at http://HOST:PORT or https://HOST:PORT")
    queries = [definition.over(period) for definition in DEFINITIONS if definition.query]
    answers = {}
    for done, query in enumerate(queries, 1):
        answers[query] = _ask(url.rstrip("/"), query, at)
        progress(done, len(queries))
    return answers


def _ask(url: str, query: str, at: int) -> dict[str, object]:
    parameters = urllib.parse.urlencode({"query": query, "time": at})
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?{parameters}", timeout=_SECONDS) as answer:  # noqa: S310 - http(s)
            result = json.loads(answer.read(_MAX))["data"]["result"]
            return {"series": [_series(each) for each in result]}
    except urllib.error.HTTPError as error:
        return {"error": f"HTTP {error.code}"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        sentence = f"The Prometheus at {url} does not answer; try again later."
        raise Unavailable("PROMETHEUS_UNREACHABLE", sentence, retry_after=5) from error


def _series(each: dict[str, Any]) -> Series:
    """A value as Prometheus wrote it: "NaN" is no number of JSON's."""
    labels = {name: value for name, value in each["metric"].items() if name != "__name__"}
    return {"labels": dict(sorted(labels.items())), "value": each["value"][1]}
