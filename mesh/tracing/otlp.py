"""Sends spans to a collector by OTLP over gRPC: the only place that knows OpenTelemetry's SDK (extra ``tracing``).

What waits to be sent is bounded, in number and in size; what doesn't fit is lost and counted. Nothing that makes a span
ever waits for the collector.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client import Counter

from mesh import log
from mesh.build import VERSION
from mesh.config import MeshSettings
from mesh.errors import ConfigError
from mesh.instruments import exemplars
from mesh.metrics import SPAN_OUTCOMES, MeshMetrics
from mesh.tracing import spans

try:
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
except ImportError:
    raise ConfigError("MAYFLY_TRACING: otlp takes the extra `tracing` (pip install 'mayfly[tracing]')") from None

MOST_WAITING = 2048
"""Spans that wait to be sent. Each has at most 16 attributes and 32 events of a few words: 10 KB, 20 MB in all."""
_BATCH = 256
_EVERY_MS = 1000
_EXPORT_SECONDS = 5.0  # for one batch, attempts together
_STOP_SECONDS = 2.0  # at the stop, for what waits
_LIMITS = SpanLimits(
    max_span_attributes=16,
    max_events=32,
    max_links=0,
    max_event_attributes=4,
    max_link_attributes=0,
    max_span_attribute_length=128,
)


class Otlp:
    """A component. From its making on, spans are recorded; its thread and its connection are its own."""

    def __init__(self, settings: MeshSettings, service: str, metrics: MeshMetrics) -> None:
        """ConfigError if the certificates are not what they should be."""
        self._queue = _Bounded(
            _exporter(settings), {name: metrics.trace_spans.labels(service, name) for name in SPAN_OUTCOMES}
        )
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.tracing_ratio)),
            resource=Resource(
                {
                    "service.namespace": "mayfly",
                    "service.name": service,
                    "service.instance.id": settings.instance,
                    "service.version": VERSION or "unknown",
                }
            ),
            span_limits=_LIMITS,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(self._queue)
        spans.use(self._provider.get_tracer("mayfly"))
        log.context = spans.ids
        exemplars.ask(_exemplar)

    async def start(self) -> None:
        """It has begun already, so that no span of the start is lost."""

    async def stop(self) -> None:
        """Sends what waits, as far as that is quick: a collector that is away keeps no process from its end."""
        spans.use(None)
        done, loop = asyncio.Event(), asyncio.get_running_loop()

        def shut() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        # Not in the loop's own executor, for whose threads the process would wait.
        threading.Thread(target=shut, name="tracing-stop", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await done.wait()


class _Bounded(SpanProcessor):
    """Lets so many spans wait, and counts what becomes of each."""

    def __init__(self, exporter: SpanExporter, counts: dict[str, Counter]) -> None:
        self._counts = counts
        self._waiting = 0
        self._lock = threading.Lock()
        self._batches = BatchSpanProcessor(
            _Reporting(exporter, self._left),
            max_queue_size=MOST_WAITING + _BATCH,  # what is being sent has left the SDK's queue, but not ours
            schedule_delay_millis=_EVERY_MS,
            max_export_batch_size=_BATCH,
        )

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is to be added: what a span says is its maker's to say."""

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled:
            return
        with self._lock:
            room = self._waiting < MOST_WAITING
            self._waiting += room
        if room:
            self._batches.on_end(span)
        else:
            self._counts["dropped"].inc()

    def shutdown(self) -> None:
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batches.force_flush(timeout_millis)

    def _left(self, count: int, outcome: str) -> None:
        with self._lock:
            self._waiting -= count
        self._counts[outcome].inc(count)


class _Reporting(SpanExporter):
    def __init__(self, exporter: SpanExporter, report: Callable[[int, str], None]) -> None:
        self._exporter = exporter
        self._report = report

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._report(len(spans), "sent" if result is SpanExportResult.SUCCESS else "failed")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _exemplar() -> dict[str, str] | None:
    ids = spans.ids()
    return {"trace_id": ids["trace_id"]} if ids else None


def _exporter(settings: MeshSettings) -> OTLPSpanExporter:
    options = (
        # A connection of its own, with nothing but spans on it.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", 0),
    )
    return OTLPSpanExporter(
        endpoint=settings.tracing_endpoint,
        insecure=settings.tracing_ca is None,
        credentials=_credentials(settings),
        timeout=_EXPORT_SECONDS,
        compression=grpc.Compression.NoCompression,
        channel_options=options,  # type: ignore[arg-type] # typed as one pair of texts
    )


def _credentials(settings: MeshSettings) -> grpc.ChannelCredentials | None:
    """gRPC would take any bytes, and fail at each connection instead."""
    if settings.tracing_ca is None:
        return None
    ca = settings.tracing_ca.read_bytes()
    _certificates("MAYFLY_TRACING_CA", ca)
    if settings.tracing_cert is None or settings.tracing_key is None:
        return grpc.ssl_channel_credentials(ca)
    cert, key = settings.tracing_cert.read_bytes(), settings.tracing_key.read_bytes()
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError("MAYFLY_TRACING_KEY: not PEM, or encrypted") from None
    if private.public_key() != _certificates("MAYFLY_TRACING_CERT", cert)[0].public_key():
        raise ConfigError("MAYFLY_TRACING_KEY: is not the key of MAYFLY_TRACING_CERT")
    return grpc.ssl_channel_credentials(ca, key, cert)


def _certificates(variable: str, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ConfigError(f"{variable}: not PEM") from None
