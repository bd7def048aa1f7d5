"""What Prometheus says of the rules: the alerts that carry their names, and since when none of them has fired.

Asked in a thread, with short timeouts and small answers; whoever reads sees the last answer and how old it is.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

SECONDS = 2.0  # for a connection, and between two pieces of an answer
MAX_BYTES = 4 << 20
LOOK_BACK: Final = "7d"  # how far back alerts are looked for
STALE = 20.0  # seconds after which an answer says nothing about now
FIRED = f'max by (rule) (max_over_time(timestamp(ALERTS{{alertstate="firing",rule!=""}})[{LOOK_BACK}:1m]))'
WATCHED = f'min(min_over_time(timestamp(up{{job="purge"}})[{LOOK_BACK}:1m]))'


class Away(Exception):
    """Prometheus did not answer, or not as Prometheus does."""


@dataclass(slots=True)
class Alerts:
    """Of one rule. names: alerts that watch over it. firing, pending: name → since when, Unix seconds.

    failing: alerts that Prometheus could not evaluate.
    """

    names: list[str] = field(default_factory=list)
    firing: dict[str, float] = field(default_factory=dict)
    pending: dict[str, float] = field(default_factory=dict)
    failing: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """alerts: by rule. fired: rule → when one of its alerts last fired. watched: since when Prometheus has looked; both
    no further back than LOOK_BACK, Unix seconds."""

    alerts: Mapping[str, Alerts]
    fired: Mapping[str, float]
    watched: float | None


class Prometheus:
    """url: of the server, as MAYFLY_PURGE_PROMETHEUS_URL has it (``check_url``)."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None

    def ask(self) -> Answer:
        """Blocks, for a few seconds at most. Raises Away."""
        try:
            rules = self._get("/api/v1/rules?type=alert")
            fired = self._query(FIRED)
            watched = self._query(WATCHED)
            return Answer(
                _alerts(rules["groups"]),
                {str(each["metric"]["rule"]): float(each["value"][1]) for each in fired},
                float(watched[0]["value"][1]) if watched else None,
            )
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, IndexError) as error:
            raise Away from error

    def _query(self, expression: str) -> list[Any]:
        result = self._get(f"/api/v1/query?query={quote(expression)}")["result"]
        return list(result)

    def _get(self, path: str) -> Any:
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        extra: dict[str, Any] = {"context": self._tls} if self._tls else {}
        connection = kind(self._host, self._port, timeout=SECONDS, **extra)
        try:
            connection.request("GET", self._prefix + path)
            response = connection.getresponse()
            body = response.read(MAX_BYTES + 1)
            if response.status != http.client.OK or len(body) > MAX_BYTES:
                raise Away
            return json.loads(body)["data"]
        finally:
            connection.close()


def check_url(url: str) -> str:
    """Raises ValueError for what is no http or https URL of a server."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("must be http://HOST:PORT or https://HOST:PORT, and a path perhaps")
    return url.rstrip("/")


def _alerts(groups: list[Any]) -> dict[str, Alerts]:
    found: dict[str, Alerts] = {}
    for rule in (rule for group in groups for rule in group["rules"]):
        about = rule["labels"].get("rule")
        if about is None:
            continue
        alerts = found.setdefault(str(about), Alerts())
        alerts.names.append(str(rule["name"]))
        if rule["health"] == "err":
            alerts.failing.append(str(rule["name"]))
        for alert in rule["alerts"]:
            where = alerts.firing if alert["state"] == "firing" else alerts.pending
            since = _time(alert["activeAt"])
            where[rule["name"]] = min(since, where.get(rule["name"], since))
    return found


def _time(text: str) -> float:
    """RFC 3339 with up to nine digits of a second, which Python reads: it drops those beyond six."""
    return datetime.fromisoformat(text).timestamp()
