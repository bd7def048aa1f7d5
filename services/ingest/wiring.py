"""Builds ingest."""

from __future__ import annotations

from mesh.app import App
from mesh.assembly import Assembly
from mesh.attestation import Attester
from mesh.forgetting import rinse
from mesh.isolation.metrics import IsolationMetrics
from mesh.lockdown.locking import Lockdown
from services.ingest.config import IngestSettings
from services.ingest.isolated.convert import Converter
from services.ingest.metrics import IngestMetrics
from services.ingest.servicer import SERVICE, IngestServicer

_GATEWAY = frozenset({"gateway"})
ALLOWED = {f"/{SERVICE}/Scrub": _GATEWAY, rinse.METHOD: _GATEWAY}


def build(settings: IngestSettings, lockdown: Lockdown) -> App:
    """Ingest, ready to run. ConfigError if what its settings name is wrong."""
    parts = Assembly("ingest", settings, lockdown)
    parts.isolate()
    converter = Converter(
        settings.limits(),
        metrics=IsolationMetrics(parts.metrics.registry, "ingest"),
        children=settings.ingest_workers,
        memory_bytes=settings.ingest_worker_bytes,
        strictness=lockdown.strictness,
        nursery=lockdown.nursery,
    )
    parts.health.checks["decoders"] = lambda: converter.ready
    book, stream, channel = parts.custody(settings.registry_target)
    server = parts.inside_server(ALLOWED)
    IngestServicer(
        book=book,
        holder=stream.holder,
        limits=settings.limits(),
        converter=converter,
        decode_check=settings.ingest_decode_check == "reduced",
        attester=Attester(parts.identity),
        metrics=IngestMetrics(parts.metrics.registry),
    ).add_to(server.grpc)
    rinse.add_to(server.grpc)
    if settings.reflection:
        server.serve_reflection((SERVICE,))
    return parts.app(channel, stream, converter, parts.sweep(book), server=server)
