"""What the gateway counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from mesh.instruments.exemplars import TracedHistogram
from mesh.metrics import FINE_SECONDS

COSTS = ("light", "standard", "heavy")
OTHER = "other"


class GatewayMetrics:
    """Labels come from closed lists: reasons of errors, ends of a journey."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.in_flight = Gauge("mayfly_gateway_photos_in_flight", "Photos on their way.", registry=registry)
        self.limit = Gauge(
            "mayfly_gateway_photos_in_flight_limit", "Photos that may be on their way.", registry=registry
        )
        self.refused = Counter(
            "mayfly_gateway_refused_total", "Photos that did not end in a picture.", ("reason",), registry=registry
        )
        self.journeys = Counter(
            "mayfly_gateway_journeys_total", "Photos that ended in a picture.", ("outcome",), registry=registry
        )
        self.seconds = TracedHistogram(
            "mayfly_gateway_journey_seconds",
            "From lease to picture, by what the scene costs.",
            ("cost",),
            buckets=FINE_SECONDS,
            registry=registry,
        )
        for cost in COSTS:  # from 0 on, so that a share of all can be told from the first picture on
            self.seconds.labels(cost)
