"""The service levels of docs/slo.md, as deploy/prometheus/rules.yml records what failed of what was asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """slo, cost: labels of ``mayfly:slo_…``. budget: the share that may fail. alert: of its burn rate."""

    name: str
    slo: str
    budget: float
    alert: str
    cost: str = ""

    @property
    def selector(self) -> str:
        cost = f',cost="{self.cost}"' if self.cost else ""
        return f'{{slo="{self.slo}"{cost}}}'

    def left(self, window: str) -> str:
        """The share of the window's budget that is left, 0 at least; NaN where nothing was asked for."""
        failed, asked = (
            f"sum_over_time(mayfly:slo_{what}:rate5m{self.selector}[{window}])" for what in ("failures", "events")
        )
        return f"clamp_min(1 - {failed} / {asked} / {self.budget}, 0)"

    def burn(self) -> str:
        """How fast the budget goes; 1: it lasts just as long as it is meant to."""
        return f"mayfly:slo_errors:ratio_rate5m{self.selector} / {self.budget}"


LEVELS = (
    Level("a picture, if one was asked for", "availability", 0.001, "MayflyAvailabilityBurn"),
    Level("a light picture within 10 s", "latency", 0.01, "MayflyLatencyBurn", "light"),
    Level("a standard one within 20 s", "latency", 0.01, "MayflyLatencyBurn", "standard"),
    Level("a heavy one within 40 s", "latency", 0.01, "MayflyLatencyBurn", "heavy"),
    Level("photo lives at most 121 s", "residency", 0.001, "MayflyResidencyBurn"),
    Level("gone within 1 s of its end", "deletion_lag", 0.001, "MayflyDeletionLagBurn"),
)
ALERTS = tuple(dict.fromkeys(level.alert for level in LEVELS))
