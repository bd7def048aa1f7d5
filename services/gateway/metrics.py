"""What the gateway counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mesh.metrics import SECONDS


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
        self.seconds = Histogram(
            "mayfly_gateway_journey_seconds", "From lease to picture.", buckets=SECONDS, registry=registry
        )
