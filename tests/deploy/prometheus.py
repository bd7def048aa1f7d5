"""A real Prometheus with the rules and the scrape configuration that are deployed, on loopback."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from clients.observe import deployed
from clients.observe.prometheus import Prometheus
from mesh.testing.ports import Reserved
from tests.deploy.programs import program

SHRUNK = 1 / 120
"""What becomes of a rule's times: an hour of a burn rate is half a minute."""
_FEWEST_LOOKS = 4
_WINDOW = re.compile(r"(?<=\[)\d+[smh](?=\])|(?<=\boffset )\d+[smh]\b")


class PrometheusServer(Prometheus):
    """A context manager. Skips the test where Prometheus is not installed.

    targets: job -> HOST:PORT of its ops port. every: seconds between scrapes, and between evaluations of the rules.
    alertmanager: HOST:PORT of who is told of alerts. hurried: the rules' times shrink (``shrunk``), windows and
    offsets in expressions too; otherwise only the time for which an alert waits does, by as much as the looks are
    closer together. Nothing else of a rule changes.
    """

    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, str],
        every: float = 0.5,
        *,
        alertmanager: str = "",
        hurried: bool = False,
    ) -> None:
        program("prometheus", "Debian: prometheus")
        rules = deployed.read(deployed.RULES)
        interval = _seconds(deployed.read(deployed.PROMETHEUS)["global"]["evaluation_interval"])
        for rule in [rule for group in rules["groups"] for rule in group["rules"]]:
            if hurried:
                rule["expr"] = _WINDOW.sub(lambda found: shrunk(found[0], every, interval), rule["expr"])
            if "for" in rule:
                waits = _seconds(rule["for"]) * every / interval
                rule["for"] = shrunk(rule["for"], every, interval) if hurried else _written(waits)
        (folder / "rules.yml").write_text(json.dumps(rules))  # JSON is YAML
        self._reserved = Reserved()
        super().__init__(
            folder,
            targets,
            every=every,
            rules=folder / "rules.yml",
            alertmanager=alertmanager or None,
            port=self._reserved.number,
        )

    def stop(self) -> None:
        super().stop()
        self._reserved.close()


def shrunk(duration: str, every: float, interval: float) -> str:
    """A rule's "10m", written for a look each ``interval`` seconds, where one looks each ``every`` seconds.

    By ``SHRUNK``, but what had few looks in it keeps them, and what had more keeps ``_FEWEST_LOOKS``: a rate needs two.
    """
    seconds = _seconds(duration)
    return _written(max(seconds * SHRUNK, min(seconds * every / interval, _FEWEST_LOOKS * every)))


def _seconds(duration: str) -> float:
    """Of "15s", "1m" or "6h"."""
    return float(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


def _written(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
