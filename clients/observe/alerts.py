"""What has become of the deployed alerts in a running Prometheus."""

from __future__ import annotations

from dataclasses import dataclass

from clients.observe import deployed
from clients.observe.prometheus import get


@dataclass(frozen=True, slots=True)
class Alert:
    """state: "inactive", "pending" or "firing"; "missing" if it is not loaded. error: of its last evaluation."""

    name: str
    state: str
    health: str = ""
    error: str = ""

    @property
    def fault(self) -> str | None:
        """What is wrong with it in a mesh with which nothing is wrong; None: nothing."""
        if self.state == "missing":
            return f"{self.name} is not loaded"
        if self.health != "ok":
            return f"{self.name} is not evaluated ({self.health}) {self.error}".rstrip()
        return None if self.state == "inactive" else f"{self.name} is {self.state}"


def alerts(url: str) -> list[Alert]:
    """All that are deployed, in their order. url: of a Prometheus. Raises OSError."""
    loaded = {}
    for group in get(url, "/api/v1/rules", type="alert")["groups"]:
        for rule in group["rules"]:
            loaded[rule["name"]] = Alert(rule["name"], rule["state"], rule["health"], rule.get("lastError", ""))
    return [loaded.get(name, Alert(name, "missing")) for name in deployed.alerts()]


def firing(url: str) -> set[str]:
    """The names of the alerts that fire now. Raises OSError."""
    found = get(url, "/api/v1/alerts")["alerts"]
    return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}
