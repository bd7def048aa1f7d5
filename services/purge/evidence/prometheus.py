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
_END = 4_102_444_800  # 2100-01-01, Unix seconds
STALE = 20.0  # seconds after which an answer says nothing about now
FIRED = (
    f'max by (rule) (max_over_time(timestamp(ALERTS{{rule!=""}})[{LOOK_BACK}:1m])'
    f' or max_over_time(ALERTS_FOR_STATE{{rule!=""}}[{LOOK_BACK}]))'
)
"""When an alert last was there: to the minute. What came and went between two minutes is there by when it came."""
WATCHED = f'min(min_over_time(timestamp(up{{job="purge"}})[{LOOK_BACK}:1m]))'

UP: Final = "min by (job) (up) == 1"


class Away(Exception):
    """Prometheus did not answer, or not as Prometheus does."""


@dataclass(slots=True)
class Alerts:
    """Of one rule. watching: alerts that watch over it, name → expression. firing, pending: name → since when, Unix
    seconds. failing: alerts that Prometheus could not evaluate.
    """

    watching: dict[str, str] = field(default_factory=dict)
    firing: dict[str, float] = field(default_factory=dict)
    pending: dict[str, float] = field(default_factory=dict)
    failing: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """alerts: by rule. fired: rule → when one of its alerts last fired, or was about to. watched: since when Prometheus
    has looked. Both no further back than LOOK_BACK, Unix seconds. up: jobs all of whose processes it reaches now."""

    alerts: Mapping[str, Alerts]
    fired: Mapping[str, float]
    watched: float | None
    up: frozenset[str]


def state_query(rule: str) -> str:
    """What the alerts of a rule say: 0 none, 1 one is pending, 2 one fires; no answer where nothing is scraped."""
    firing, pending = (f'ALERTS{{rule="{rule}",alertstate="{state}"}}' for state in ("firing", "pending"))
    return f"max(2 * {firing} or {pending}) or on () 0 * count(up == 1)"


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
            up = self._query(UP)
            return Answer(
                _alerts(rules["groups"]),
                {_text(each["metric"]["rule"]): _moment(float(each["value"][1])) for each in fired},
                _moment(float(watched[0]["value"][1])) if watched else None,
                frozenset(_text(each["metric"]["job"]) for each in up),
            )
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError) as error:
            raise Away from error
        except RecursionError:
            raise Away from None  # its traceback is as deep as the answer

    def _query(self, expression: str) -> list[Any]:
        return _list(self._get(f"/api/v1/query?query={quote(expression)}")["result"])

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


def _alerts(groups: object) -> dict[str, Alerts]:
    found: dict[str, Alerts] = {}
    for rule in (rule for group in _list(groups) for rule in _list(group["rules"])):
        about = rule["labels"].get("rule")
        if about is None:
            continue
        alerts = found.setdefault(_text(about), Alerts())
        name = _text(rule["name"])
        alerts.watching[name] = _text(rule["query"])
        if rule["health"] != "ok":
            alerts.failing.append(name)
        for alert in _list(rule["alerts"]):
            where = {"firing": alerts.firing, "pending": alerts.pending}[alert["state"]]
            since = _moment(_time(alert["activeAt"]))
            where[name] = min(since, where.get(name, since))
    return found


def _list(value: object) -> list[Any]:
    """Raises TypeError for anything else, an empty object too, which would read like no alert at all."""
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _text(value: object) -> str:
    """Raises TypeError for anything else, ValueError for halves of a character, which no page could show."""
    if not isinstance(value, str):
        raise TypeError("no text")
    value.encode()
    return value


def _time(text: str) -> float:
    """RFC 3339 with up to nine digits of a second, which Python reads: it drops those beyond six."""
    return datetime.fromisoformat(text).timestamp()


def _moment(seconds: float) -> float:
    """Raises ValueError for what is no time of a Prometheus: NaN, infinity, another age."""
    if not 0 <= seconds < _END:
        raise ValueError("no Unix seconds")
    return seconds
