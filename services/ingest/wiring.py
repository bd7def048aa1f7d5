"""Builds ingest."""

from __future__ import annotations

from mesh.app import App
from mesh.assembly import Assembly
from mesh.attestation import Attester
from mesh.config import load
from services.ingest.config import IngestSettings
from services.ingest.metrics import IngestMetrics
from services.ingest.servicer import SERVICE, IngestServicer

ALLOWED = {f"/{SERVICE}/Scrub": frozenset({"gateway"})}


def build() -> App:
    """Ingest, ready to run. ConfigError if its environment is wrong."""
    settings = load(IngestSettings, "ingest")
    parts = Assembly("ingest", settings)
    book, stream, channel = parts.custody(settings.registry_target)
    server = parts.inside_server(ALLOWED)
    IngestServicer(
        book=book,
        holder=stream.holder,
        limits=settings.limits(),
        attester=Attester(parts.identity),
        metrics=IngestMetrics(parts.metrics.registry),
    ).add_to(server.grpc)
    if settings.reflection:
        server.serve_reflection((SERVICE,))
    return parts.app(channel, stream, server=server)
