"""A real Alertmanager with the configuration that is deployed, on loopback, and the pager that it tells."""

from __future__ import annotations

import http.server
import json
import secrets
import threading
import urllib.request
from pathlib import Path
from typing import Any, Self

from clients.observe import deployed
from clients.observe.alertmanager import Alertmanager
from mesh.testing.ports import HOST, Reserved
from tests.deploy.programs import program

_GROUP_WAIT, _GROUP_INTERVAL = "200ms", "1s"


class Pager:
    """A context manager: an HTTP server that takes webhooks with the right token. ``messages``: what came, in order.

    Of each: receiver (the path's last part) and Alertmanager's own JSON. ``refused``: how many had another token.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(16)
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.refused = 0
        pager = self

        class Hook(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                allowed = self.headers["Authorization"] == f"Bearer {pager.token}"
                if allowed:
                    pager.messages.append((self.path.rpartition("/")[2], body))
                else:
                    pager.refused += 1
                self.send_response(200 if allowed else 401)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = http.server.ThreadingHTTPServer((HOST, 0), Hook)
        self.url = f"http://{HOST}:{self._server.server_port}"

    def told(self, receiver: str, alert: str, status: str) -> bool:
        """Whether a message said so: status "firing" or "resolved", the last word counts."""
        words = [
            each["status"]
            for to, message in list(self.messages)
            for each in message["alerts"]
            if to == receiver and each["labels"]["alertname"] == alert
        ]
        return bool(words) and words[-1] == status

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class AlertmanagerServer(Alertmanager):
    """A context manager. Skips the test where Alertmanager is not installed.

    What is changed of the configuration: whom it tells, where the token lies, and how long it gathers alerts before it
    tells (routes, groups and inhibitions are what is deployed).
    """

    def __init__(self, folder: Path, pager: Pager) -> None:
        program("prometheus-alertmanager", "Debian: prometheus-alertmanager")
        config = deployed.read(deployed.ALERTMANAGER)
        token = folder / "token"
        token.write_text(pager.token)
        for receiver in config["receivers"]:
            for hook in receiver["webhook_configs"]:
                hook["url"] = f"{pager.url}/{receiver['name']}"
                hook["http_config"]["authorization"]["credentials_file"] = str(token)
        for route in (config["route"], *config["route"]["routes"]):
            route |= {"group_wait": _GROUP_WAIT, "group_interval": _GROUP_INTERVAL}
        self._reserved = Reserved()
        super().__init__(folder, self._reserved.number, config=config)

    def stop(self) -> None:
        super().stop()
        self._reserved.close()

    def inhibited(self, alert: str) -> bool:
        """Whether it knows the alert, and tells nobody of it because of another one."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            alerts = [each for each in json.load(answer) if each["labels"]["alertname"] == alert]
        return bool(alerts) and all(each["status"]["inhibitedBy"] for each in alerts)
