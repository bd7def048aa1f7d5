"""What ingest counts, by kind; never a value."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from services.ingest.report import Facts


class IngestMetrics:
    """Labels come from closed lists: formats, kinds of metadata, reasons for a refusal."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._photos = Counter("mayfly_ingest_photos_total", "Photos scrubbed.", ("format",), registry=registry)
        self._removed = Counter(
            "mayfly_ingest_removed_bytes_total", "Bytes removed from photos, by kind.", ("kind",), registry=registry
        )
        self._refused = Counter(
            "mayfly_ingest_refused_total", "Photos refused, by reason.", ("reason",), registry=registry
        )

    def scrubbed(self, facts: Facts) -> None:
        """Counts one whole photo."""
        self._photos.labels(facts.format.value).inc()
        for kind, byte_count in facts.removed.items():
            self._removed.labels(kind.value).inc(byte_count)

    def refused(self, reason: str) -> None:
        """Counts one refusal; ``reason`` is an error's."""
        self._refused.labels(reason).inc()
