"""A real Prometheus with the rules and the scrape configuration that are deployed, on loopback."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from mesh.testing.ports import HOST, Reserved
from tests.deploy.programs import DEPLOY, program, read_yaml

_READY_WITHIN = 20.0  # seconds
_POLL = 0.05


class PrometheusServer:
    """A context manager. Skips the test where Prometheus is not installed.

    targets: job -> HOST:PORT of its ops port. every: seconds between scrapes, and between evaluations of the rules.
    Rules are written for a look every 5 s, so the time for which an alert waits shrinks with it; windows stay.
    """

    def __init__(self, folder: Path, targets: Mapping[str, str], every: float = 0.5) -> None:
        self._binary = program("prometheus", "Debian: prometheus")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = Reserved()
        self.url = f"http://{HOST}:{self._port.number}"
        config = read_yaml(DEPLOY / "prometheus/prometheus.yml")
        deployed = _seconds(config["global"]["evaluation_interval"])
        interval = f"{round(every * 1000)}ms"
        config["global"] = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
        # A mesh without an auditor is not scraped for one.
        config["scrape_configs"] = [each for each in config["scrape_configs"] if each["job_name"] in targets]
        for scrape in config["scrape_configs"]:
            scrape["static_configs"] = [{"targets": [targets[scrape["job_name"]]]}]
            del scrape["scheme"], scrape["tls_config"]  # a mesh on this machine speaks plain HTTP, on loopback
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        rules = read_yaml(DEPLOY / "prometheus/rules.yml")
        for rule in [rule for group in rules["groups"] for rule in group["rules"] if "for" in rule]:
            rule["for"] = f"{round(_seconds(rule['for']) * every / deployed * 1000)}ms"
        (folder / "rules.yml").write_text(json.dumps(rules))

    def __enter__(self) -> PrometheusServer:
        arguments = [
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'tsdb'}",
            f"--web.listen-address={HOST}:{self._port.number}",
            "--enable-feature=exemplar-storage",
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen([self._binary, *arguments], stdout=log, stderr=log, cwd=self._folder)
        deadline = time.monotonic() + _READY_WITHIN
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise RuntimeError(f"prometheus did not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(_POLL)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._port.close()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


def _seconds(duration: str) -> float:
    """Of "15s" or "1m"."""
    return float(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]
