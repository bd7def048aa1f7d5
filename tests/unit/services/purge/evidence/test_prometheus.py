"""What is not a Prometheus, or no longer, is away; nothing of it gets further."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import pytest

from services.purge.evidence import prometheus as module
from services.purge.evidence.prometheus import UP, Away, Prometheus, check_url

RULE = {
    "name": "MayflyRegistryUnsafe", "query": "x", "health": "ok", "labels": {"rule": "R3"},
    "alerts": [
        {"state": "firing", "activeAt": "2026-11-28T21:00:00.123456789Z", "labels": {}, "value": "1e+00"},
        {"state": "pending", "activeAt": "2026-11-28T22:00:00Z", "labels": {}, "value": "1e+00"},
    ],
}  # fmt: skip


class Server:
    """Answers every path by ``body``."""

    def __init__(self) -> None:
        self.body: Any = {}
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = outer.body(self.path) if callable(outer.body) else outer.body
                self.send_response(outer.status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(data if isinstance(data, bytes) else json.dumps(data).encode())

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    threading.Thread(target=made.http.serve_forever, daemon=True).start()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def client(server: Server) -> Prometheus:
    return Prometheus(f"http://127.0.0.1:{server.http.server_port}/prefix")


def test_alerts_by_rule_and_since_when(server: Server, client: Prometheus) -> None:
    def body(path: str) -> object:
        assert path.startswith("/prefix/api/v1/")
        if "/rules" in path:
            unlabelled = {**RULE, "labels": {}}
            return {"data": {"groups": [{"rules": [RULE, unlabelled, {**RULE, "alerts": [], "health": "err"}]}]}}
        if quote(UP) in path:
            return {"data": {"result": [{"metric": {"job": job}, "value": [1, "1"]} for job in ("purge", "render")]}}
        value = "1700000000" if "ALERTS" in path else "1600000000"
        return {"data": {"result": [{"metric": {"rule": "R3"}, "value": [1, value]}]}}

    server.body = body
    answer = client.ask()
    alerts = answer.alerts["R3"]
    assert set(answer.alerts) == {"R3"}
    assert alerts.firing == {"MayflyRegistryUnsafe": pytest.approx(1795899600.123, abs=0.01)}
    assert alerts.pending == {"MayflyRegistryUnsafe": 1795903200.0}
    assert alerts.failing == ["MayflyRegistryUnsafe"]
    assert (answer.fired, answer.watched) == ({"R3": 1.7e9}, 1.6e9)
    assert answer.up == {"purge", "render"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"data": null}',
        b'{"data": {"groups": [{}]}}',
        b'{"data": {"groups": [{"rules": [{}]}]}}',
    ],
)
def test_any_other_answer_is_away(server: Server, client: Prometheus, body: bytes) -> None:
    server.body = body
    with pytest.raises(Away):
        client.ask()


def test_redirects_errors_and_endless_answers_are_away(
    server: Server, client: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.body = {"data": {"groups": []}}
    for server.status in (302, 500):
        with pytest.raises(Away):
            client.ask()
    server.status = 200
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(Away):
        client.ask()


def test_nobody_there_is_away() -> None:
    with pytest.raises(Away):
        Prometheus("http://127.0.0.1:1").ask()


@pytest.mark.parametrize("url", ["", "ftp://a", "http://", "http://u:p@host", "http://host/?q=1", "host:9090"])
def test_what_is_no_server(url: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        check_url(url)
