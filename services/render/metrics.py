"""What render measures."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mesh.metrics import SECONDS


class RenderMetrics:
    """Labels come from the catalogue's kinds, the recipes' steps, the engines' names and the service classes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.queued = Gauge(
            "mayfly_render_queue_photos", "Photos that wait for an engine slot.", ("service_class",), registry=registry
        )
        self.waited = Histogram(
            "mayfly_render_queue_wait_seconds",
            "From a photo's last byte to its engine slot.",
            ("service_class",),
            buckets=SECONDS,
            registry=registry,
        )
        self.refused = Counter(
            "mayfly_render_refused_total",
            "Photos that were refused for want of a place or of time.",
            ("reason",),
            registry=registry,
        )
        self.cold_start = Gauge(
            "mayfly_render_cold_start_seconds", "Loading and warming the engines, at the start.", registry=registry
        )
        self.slots = Gauge("mayfly_render_slots", "Engine slots there are.", registry=registry)
        self.used = Gauge("mayfly_render_slots_used", "Engine slots in use.", registry=registry)
        self.seconds = Histogram(
            "mayfly_render_seconds", "From slot to picture.", ("scene_kind",), buckets=SECONDS, registry=registry
        )
        self.step_seconds = Histogram(
            "mayfly_render_step_seconds", "One step of a recipe.", ("step",), buckets=SECONDS, registry=registry
        )
        self.failed = Counter("mayfly_render_failed_total", "Renders that failed.", ("reason",), registry=registry)
        self.fallbacks = Counter(
            "mayfly_render_fallbacks_total",
            "Pictures that another engine took over, since the first choice was away.",
            ("engine", "instead"),
            registry=registry,
        )
        self.marked = Counter(
            "mayfly_render_marked_total",
            "Pictures that were signed and say that they are generated or altered.",
            ("scene_kind",),
            registry=registry,
        )
        self.marking = Gauge(
            "mayfly_render_marking", "1 if pictures say what they are; 0 if it was switched off.", registry=registry
        )
        self.marking.set(1)
        self.credentials_expire = Gauge(
            "mayfly_render_credentials_expire_timestamp_seconds",
            "When the certificate that signs pictures ends; 0 where none is needed.",
            registry=registry,
        )
