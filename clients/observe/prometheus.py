"""A Prometheus with the deployed rules and consoles, that scrapes a mesh on this machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clients.observe import deployed
from clients.observe.program import Program, find
from mesh.errors import ConfigError


class Prometheus(Program):
    """targets: job -> HOST:PORT of its ops port, or those of all its processes; only these jobs are scraped.

    every: seconds between scrapes, and between evaluations of the rules. rules: a file.
    alertmanager: HOST:PORT; None: alerts are sent to nobody.
    """

    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, str | Sequence[str]],
        *,
        every: float = 1.0,
        rules: Path = deployed.RULES,
        alertmanager: str | None = None,
        port: int | None = None,
    ) -> None:
        super().__init__("prometheus", folder, port)
        listed = {job: [where] if isinstance(where, str) else list(where) for job, where in targets.items()}
        self._configuration = configuration(listed, every=every, rules=rules, alertmanager=alertmanager)

    def command(self) -> Sequence[str]:
        binary = find("prometheus", "prometheus")
        file = self.folder / "prometheus.yml"
        file.write_text(json.dumps(self._configuration), encoding="utf-8")  # JSON is YAML
        return [
            binary,
            f"--config.file={file}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}",
            f"--web.listen-address={self.address}",
            f"--web.console.templates={deployed.CONSOLES}",
            f"--web.console.libraries={deployed.LIBRARIES}",
            "--enable-feature=exemplar-storage",
        ]

    def get(self, path: str, **parameters: str) -> Any:
        """See ``get``."""
        return get(self.url, path, **parameters)


def configuration(
    targets: Mapping[str, Sequence[str]], *, every: float, rules: Path, alertmanager: str | None
) -> dict[str, Any]:
    """The deployed one, for other targets: those of a mesh on this machine serve plain HTTP, on loopback."""
    config: dict[str, Any] = deployed.read(deployed.PROMETHEUS)
    interval = f"{round(every * 1000)}ms"
    config["global"] = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
    config["rule_files"] = [str(rules)]
    managers = [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []
    config["alerting"] = {"alertmanagers": managers}
    known = {each["job_name"] for each in config["scrape_configs"]}
    if unknown := targets.keys() - known:
        raise ConfigError(f"{deployed.PROMETHEUS} has no job {', '.join(sorted(unknown))}.")
    config["scrape_configs"] = [
        {"job_name": job, "static_configs": [{"targets": list(where)}]} for job, where in targets.items()
    ]
    return config


def get(url: str, path: str, **parameters: str) -> Any:
    """What Prometheus's HTTP API answers, its ``data``. Raises urllib.error.HTTPError, OSError."""
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{url}{path}?{query}", timeout=10) as answer:  # noqa: S310 - http: by its caller
        return json.load(answer)["data"]


def refusal(error: urllib.error.HTTPError) -> str:
    """What Prometheus says of a query that it can't answer."""
    try:
        return str(json.load(error).get("error", error.reason))
    except ValueError:
        return str(error.reason)
