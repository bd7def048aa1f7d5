"""What ingest counts, by kind; never a value."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from services.ingest.report import Facts, Format


class IngestMetrics:
    """Labels come from closed lists: formats, kinds of metadata, reasons for a refusal."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._photos = Counter("mayfly_ingest_photos_total", "Photos scrubbed.", ("format",), registry=registry)
        self._converted = Counter(
            "mayfly_ingest_converted_total",
            "Photos that were decoded and re-encoded, by what they were.",
            ("source",),
            registry=registry,
        )
        self._removed = Counter(
            "mayfly_ingest_removed_bytes_total", "Bytes removed from photos, by kind.", ("kind",), registry=registry
        )
        self._refused = Counter(
            "mayfly_ingest_refused_total", "Photos refused, by reason.", ("reason",), registry=registry
        )
        self._disagreements = Counter(
            "mayfly_ingest_disagreements_total",
            "Photos ended because the verifier did not agree with what the scrubber wrote.",
            ("format",),
            registry=registry,
        )
        for each in Format:  # from 0 on, so that the first one is seen as a rise
            self._disagreements.labels(each.value)

    def scrubbed(self, facts: Facts) -> None:
        """Counts one whole photo."""
        self._photos.labels(facts.format.value).inc()
        if facts.converted_from is not None:
            self._converted.labels(facts.converted_from.value).inc()
        for kind, byte_count in facts.removed.items():
            self._removed.labels(kind.value).inc(byte_count)

    def refused(self, reason: str) -> None:
        """Counts one refusal; ``reason`` is an error's."""
        self._refused.labels(reason).inc()

    def disagreed(self, format: Format | None) -> None:
        """Counts one photo that the verifier ended; None when not even the format was clear."""
        self._disagreements.labels(format.value if format else "unknown").inc()
