"""What is measured of inference pools."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mesh.metrics import SECONDS


class PoolMetrics:
    """Labels come from the pinned list (processors), the contract (models) and the code (outcomes)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.endpoints = Gauge(
            "mayfly_render_pool_endpoints",
            "Endpoints of a processor that take inferences now.",
            ("processor",),
            registry=registry,
        )
        self.impostors = Gauge(
            "mayfly_render_pool_impostors",
            "Endpoints of a processor where somebody else answers: without its name, or of another authority.",
            ("processor",),
            registry=registry,
        )
        self.seconds = Histogram(
            "mayfly_render_pool_seconds",
            "One inference that was answered, from the request's first byte to the answer's last.",
            ("processor", "model"),
            buckets=SECONDS,
            registry=registry,
        )
        self.calls = Counter(
            "mayfly_render_pool_calls_total",
            "Inferences that a pool was asked for.",
            ("processor", "outcome"),
            registry=registry,
        )
