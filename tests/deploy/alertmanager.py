"""A real Alertmanager with the configuration that is deployed, on loopback, and the pager that it tells."""

from __future__ import annotations

import http.server
import json
import secrets
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from mesh.testing.ports import HOST, Reserved
from tests.deploy.programs import DEPLOY, program, read_yaml

_READY_WITHIN = 20.0  # seconds
_POLL = 0.05
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


class AlertmanagerServer:
    """A context manager. Skips the test where Alertmanager is not installed.

    What is changed of the configuration: whom it tells, where the token lies, and how long it gathers alerts before it
    tells (routes, groups and inhibitions are what is deployed).
    """

    def __init__(self, folder: Path, pager: Pager) -> None:
        self._binary = program("prometheus-alertmanager", "Debian: prometheus-alertmanager")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = Reserved()
        self.address = f"{HOST}:{self._port.number}"
        config = read_yaml(DEPLOY / "prometheus/alertmanager.yml")
        token = folder / "token"
        token.write_text(pager.token)
        for receiver in config["receivers"]:
            for hook in receiver["webhook_configs"]:
                hook["url"] = f"{pager.url}/{receiver['name']}"
                hook["http_config"]["authorization"]["credentials_file"] = str(token)
        for route in (config["route"], *config["route"]["routes"]):
            route |= {"group_wait": _GROUP_WAIT, "group_interval": _GROUP_INTERVAL}
        (folder / "alertmanager.yml").write_text(json.dumps(config))  # JSON is YAML

    def inhibited(self, alert: str) -> bool:
        """Whether it knows the alert, and tells nobody of it because of another one."""
        with urllib.request.urlopen(f"http://{self.address}/api/v2/alerts", timeout=10) as answer:
            alerts = [each for each in json.load(answer) if each["labels"]["alertname"] == alert]
        return bool(alerts) and all(each["status"]["inhibitedBy"] for each in alerts)

    def __enter__(self) -> Self:
        arguments = [
            f"--config.file={self._folder / 'alertmanager.yml'}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen([self._binary, *arguments], stdout=log, stderr=log, cwd=self._folder)
        deadline = time.monotonic() + _READY_WITHIN
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"alertmanager did not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(_POLL)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._port.close()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False
