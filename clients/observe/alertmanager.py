"""An Alertmanager with the deployed routes, that tells nobody: what it has is read from it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clients.observe import deployed
from clients.observe.program import Program, find


class Alertmanager(Program):
    """What it is sent stays in ``folder``. config: as in its file; None: ``configuration``."""

    def __init__(self, folder: Path, port: int | None = None, *, config: Mapping[str, Any] | None = None) -> None:
        super().__init__("alertmanager", folder, port)
        self._config = config

    def command(self) -> Sequence[str]:
        binary = find("prometheus-alertmanager", "prometheus-alertmanager")
        file = self.folder / "alertmanager.yml"
        file.write_text(json.dumps(self._config or configuration()), encoding="utf-8")  # JSON is YAML
        return [
            binary,
            f"--config.file={file}",
            f"--storage.path={self.folder / 'alerts'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",  # no gossip: there is only this one
        ]

    def active(self) -> set[str]:
        """The names of the alerts that it has now. Raises OSError."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:  # noqa: S310 - on loopback
            return {alert["labels"]["alertname"] for alert in json.load(answer)}


def configuration() -> dict[str, Any]:
    """The deployed routes and inhibitions; receivers without an address, since nobody is to be called from here."""
    config: dict[str, Any] = deployed.read(deployed.ALERTMANAGER)
    config["receivers"] = [{"name": receiver["name"]} for receiver in config["receivers"]]
    return {key: value for key, value in config.items() if key not in ("global", "templates")}
