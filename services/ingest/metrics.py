"""What ingest counts, by kind; never a value."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from mesh.instruments import declare
from mesh.instruments.label import listed
from services.ingest.refusals import Reason
from services.ingest.report import Facts, Format, Removed, Source

_INGEST = ("ingest",)
_UNKNOWN = "unknown"

PHOTOS = declare.Counter(
    name="mayfly_ingest_photos_total",
    help="Photos scrubbed.",
    unit="photos",
    services=_INGEST,
    labels=(listed("format", Format),),
)
CONVERTED = declare.Counter(
    name="mayfly_ingest_converted_total",
    help="Photos that were decoded and re-encoded, by what they were.",
    unit="photos",
    services=_INGEST,
    labels=(listed("source", (*Source, *Format)),),
)
REMOVED = declare.Counter(
    name="mayfly_ingest_removed_bytes_total",
    help="Bytes removed from photos, by kind.",
    unit="bytes",
    services=_INGEST,
    labels=(listed("kind", Removed),),
)
REFUSED = declare.Counter(
    name="mayfly_ingest_refused_total",
    help="Photos refused, by reason.",
    unit="photos",
    services=_INGEST,
    labels=(listed("reason", (*Reason, "MALFORMED_FRAME", "BYTE_COUNT_MISMATCH"), other=True),),
)
DISAGREEMENTS = declare.Counter(
    name="mayfly_ingest_disagreements_total",
    help="Photos ended because the verifier did not agree with what the scrubber wrote.",
    unit="photos",
    services=_INGEST,
    labels=(listed("format", (*Format, _UNKNOWN)),),
)


class IngestMetrics:
    """What is counted about scrubs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._photos = PHOTOS.family(registry)
        self._converted = CONVERTED.family(registry)
        self._removed = REMOVED.family(registry)
        self._refused = REFUSED.family(registry)
        self._disagreements = DISAGREEMENTS.family(registry)
        for each in (*Format, _UNKNOWN):  # from 0 on, so that the first one is seen as a rise
            self._disagreements.labels(str(each))

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
        self._disagreements.labels(format.value if format else _UNKNOWN).inc()
