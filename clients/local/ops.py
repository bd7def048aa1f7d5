"""What the services' ops ports say: ready or not and why, and their metrics."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from dataclasses import dataclass

_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """failing: the names of the checks that fail; ("unreachable",) when nobody answers."""

    ready: bool
    failing: tuple[str, ...] = ()


def readiness(address: str) -> Readiness:
    """Asks /readyz once."""
    try:
        status, body = _get(address, "/readyz")
        failing = tuple(str(name) for name in json.loads(body)["failing"])
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return Readiness(False, ("unreachable",))
    return Readiness(status == http.client.OK, failing)


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of /metrics."""

    name: str
    labels: dict[str, str]
    value: float


def metrics(address: str) -> list[Sample]:
    """Everything that /metrics says now; empty when nobody answers."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - slow to import

    try:
        text = _get(address, "/metrics")[1].decode()
    except (OSError, http.client.HTTPException):
        return []
    families = text_string_to_metric_families(text)
    return [Sample(line.name, dict(line.labels), line.value) for family in families for line in family.samples]


def total(samples: Iterable[Sample], name: str, **labels: str) -> float | None:
    """The sum of the series of ``name`` that carry ``labels``; None when there is no such series."""
    found = [
        sample.value
        for sample in samples
        if sample.name == name and all(sample.labels.get(key) == value for key, value in labels.items())
    ]
    return sum(found) if found else None


def get(address: str, path: str) -> bytes | None:
    """The body below ``path``; None when there is none, or nobody answers."""
    try:
        status, body = _get(address, path)
    except (OSError, http.client.HTTPException):
        return None
    return body if status == http.client.OK else None


def _get(address: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
