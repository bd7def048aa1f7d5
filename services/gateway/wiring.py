"""Builds the gateway."""

from __future__ import annotations

from mesh.app import App
from mesh.assembly import Assembly, ClosingChannel
from mesh.forgetting import rinse
from mesh.lockdown.locking import Lockdown
from mesh.tasks import Tasks
from services.gateway.admission import Admission
from services.gateway.authentication import Authenticator
from services.gateway.collect import Collector
from services.gateway.config import GatewaySettings
from services.gateway.journey import Route
from services.gateway.journeys import Journeys
from services.gateway.metrics import GatewayMetrics
from services.gateway.peers import Photos, Registry, SceneSource
from services.gateway.scenes import Scenes
from services.gateway.servicer import SERVICE, PhotoServicer


def build(settings: GatewaySettings, lockdown: Lockdown) -> App:
    """The gateway, ready to run. ConfigError if what its settings name is wrong."""
    parts = Assembly("gateway", settings, lockdown)
    book, stream, purge = parts.custody(settings.registry_target)
    ingest = ClosingChannel(parts.channel("ingest", settings.gateway_ingest_target))
    render = ClosingChannel(parts.channel("render", settings.gateway_render_target))
    registry, tasks = Registry(purge.channels, book, parts.clock), Tasks()
    metrics = GatewayMetrics(parts.metrics.registry)
    route = Route(
        book=book,
        holder=stream.holder,
        registry=registry,
        photos=Photos(ingest.channel, render.channel, parts.clock),
        clock=parts.clock,
        tasks=tasks,
        metrics=metrics,
        delivery_seconds=settings.gateway_delivery_seconds,
        max_photo_bytes=settings.gateway_max_photo_bytes,
    )
    server = parts.edge_server(settings.gateway_public_cert, settings.gateway_public_key)
    PhotoServicer(
        authenticator=Authenticator(
            settings.gateway_token_key,
            issuer=settings.gateway_token_issuer,
            audience=settings.gateway_token_audience,
        ),
        admission=Admission(
            max_photos=settings.gateway_max_photos,
            max_per_owner=settings.gateway_max_photos_per_owner,
            max_photo_bytes=settings.gateway_max_photo_bytes,
            metrics=metrics,
        ),
        scenes=Scenes(SceneSource(render.channel), parts.clock),
        route=route,
        collector=Collector(book=book, holder=stream.holder, registry=registry, tasks=tasks, clock=parts.clock),
        registry=registry,
        policy_versions=settings.gateway_policy_versions,
        start_seconds=settings.gateway_start_seconds,
    ).add_to(server.grpc)
    rinse.add_to(server.grpc)
    if settings.reflection:
        server.serve_reflection((SERVICE,))
    journeys = Journeys(tasks, settings.drain_seconds)
    sweep = parts.sweep(book, (rinse.Rinsing(ingest.channel), rinse.Rinsing(render.channel), registry.rinse))
    registry.after_passing = sweep.soon
    return parts.app(purge, ingest, render, stream, journeys, sweep, server=server)
