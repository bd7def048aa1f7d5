"""Asking a Prometheus the queries of the definitions, as of the period's end or of just before now."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from clients.evidence.definitions import DEFINITIONS
from clients.evidence.period import Period
from mesh.errors import Unavailable

ARRIVED = 10
"""Seconds after which Prometheus has every sample of a moment, so that whoever asks about it again hears the same."""
_SECONDS = 30.0  # a query over a month reads a month
_MAX = 16 << 20  # bytes of an answer
_REFUSALS = (400, 422, 503)
"""HTTP statuses of a Prometheus that can't answer a query: malformed, too much to compute, too long."""
Answers = dict[str, dict[str, object]]


def check_url(url: str) -> str:
    """The URL of a Prometheus's API. Raises ValueError for what is none."""
    try:
        parts = urllib.parse.urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and url.isascii()
        if whole and url.isprintable() and " " not in url and not (parts.query or parts.fragment or parts.username):
            return url.rstrip("/")
    except ValueError:  # a port that is no number, half an IPv6 address
        pass
    raise ValueError("a Prometheus is at http://HOST:PORT or https://HOST:PORT, and a path perhaps")


def ask(url: str, period: Period, at: int) -> Answers:
    """Query → its series: labels and value, as text. "error" instead where Prometheus refused it.

    at: the moment that is asked about, Unix seconds; the queries look back from it over the period's length.

    Raises Unavailable("PROMETHEUS_UNREACHABLE"), or "PROMETHEUS_GARBLED" for what answers otherwise than a Prometheus;
    ValueError for what is no URL of one.
    """
    api = check_url(url)
    queries = [definition.over(period) for definition in DEFINITIONS if definition.query]
    return {query: _ask(api, query, at) for query in queries}


def _ask(url: str, query: str, at: int) -> dict[str, object]:
    parameters = urllib.parse.urlencode({"query": query, "time": at})
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?{parameters}", timeout=_SECONDS) as answer:  # noqa: S310 - http(s)
            result = json.loads(answer.read(_MAX))["data"]["result"]
            if not isinstance(result, list):
                raise TypeError("no list of series")
            return {"series": [_series(each) for each in result]}
    except urllib.error.HTTPError as error:
        if error.code in _REFUSALS:
            return {"error": f"HTTP {error.code}"}
        raise _garbled(url, f"HTTP {error.code}") from error
    except OSError as error:
        sentence = f"--prometheus: nobody answers at {url}; try again later."
        raise Unavailable("PROMETHEUS_UNREACHABLE", sentence, retry_after=5) from error
    except (http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _garbled(url, "what no Prometheus says") from error


def _garbled(url: str, what: str) -> Unavailable:
    return Unavailable("PROMETHEUS_GARBLED", f"--prometheus: {url} answers {what}; is it a Prometheus?")


def _series(each: dict[str, Any]) -> dict[str, object]:
    """A value as Prometheus wrote it: "NaN" is no number of JSON's. Raises TypeError, ValueError for anything else."""
    labels = {name: label for name, label in each["metric"].items() if name != "__name__"}
    value = each["value"][1]
    if not all(isinstance(text, str) for text in (*labels.values(), value)):
        raise TypeError("labels and values are text")
    float(value)
    "".join((*labels, *labels.values())).encode()  # halves of a character stand in no report
    return {"labels": dict(sorted(labels.items())), "value": value}
