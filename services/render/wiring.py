"""Builds render."""

from __future__ import annotations

from mesh.app import App
from mesh.assembly import Assembly
from mesh.attestation import AttestationVerifier
from mesh.forgetting import rinse
from mesh.isolation.metrics import IsolationMetrics
from mesh.lockdown.locking import Lockdown
from services.render import decoding
from services.render.catalogue import Catalogue
from services.render.config import RenderSettings
from services.render.deployed import Deployed
from services.render.metrics import RenderMetrics
from services.render.servicer import SERVICE, RenderServicer
from services.render.slots import Slots

_GATEWAY = frozenset({"gateway"})
ALLOWED = {f"/{SERVICE}/Render": _GATEWAY, f"/{SERVICE}/ListScenes": _GATEWAY, rinse.METHOD: _GATEWAY}


def build(settings: RenderSettings, lockdown: Lockdown) -> App:
    """Render, ready to run. ConfigError if its environment, a scene or a model is wrong."""
    parts = Assembly("render", settings, lockdown)
    catalogue = Catalogue.load()
    isolated = decoding.workers(
        slots=settings.render_slots,
        metrics=IsolationMetrics(parts.metrics.registry, "render"),
        strictness=lockdown.strictness,
        nursery=lockdown.nursery,
    )
    parts.isolate()
    metrics = RenderMetrics(parts.metrics.registry)
    deployed = Deployed(settings, parts, catalogue, decoding.IsolatedDecode(isolated), metrics)
    engine = deployed.engine()
    catalogue = catalogue.only(engine.can_make)
    book, stream, channel = parts.custody(settings.registry_target, processors=engine.processors)
    slots = Slots(
        engine,
        slots=settings.render_slots,
        queue=settings.render_queue,
        metrics=metrics,
        clock=parts.clock,
        weights=settings.render_class_weights,
    )
    parts.health.checks["engine"] = lambda: slots.ready and engine.ready()
    parts.health.checks["decoders"] = lambda: isolated.ready
    server = parts.inside_server(ALLOWED)
    RenderServicer(
        book=book,
        holder=stream.holder,
        catalogue=catalogue,
        slots=slots,
        verifier=AttestationVerifier(parts.identity, "ingest", parts.clock),
        max_bytes=settings.render_max_bytes,
    ).add_to(server.grpc)
    rinse.add_to(server.grpc)
    if settings.reflection:
        server.serve_reflection((SERVICE,))
    return parts.app(channel, stream, isolated, slots, parts.sweep(book, deployed.rinses), server=server)
