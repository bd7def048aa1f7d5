"""Builds render."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from mesh.app import App
from mesh.assembly import Assembly
from mesh.attestation import AttestationVerifier
from mesh.forgetting import rinse
from mesh.forgetting.sweep import Rinse
from mesh.isolation.metrics import IsolationMetrics
from mesh.lockdown.locking import Lockdown
from mesh.log import get_logger
from services.render import decoding
from services.render.catalogue import Catalogue
from services.render.config import RenderSettings
from services.render.decoding import Decode
from services.render.engines.base import Engine, Make
from services.render.engines.choice import Choice
from services.render.engines.null import NullEngine
from services.render.engines.onnx import OnnxEngine
from services.render.marking import watermark
from services.render.marking.credentials import Credentials
from services.render.marking.marked import Marked
from services.render.metrics import RenderMetrics
from services.render.servicer import SERVICE, RenderServicer
from services.render.slots import Slots

_GATEWAY = frozenset({"gateway"})
_log = get_logger()
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
    rinses: list[Rinse] = []
    engine = _engine(settings, parts, catalogue, decoding.IsolatedDecode(isolated), metrics=metrics, rinses=rinses)
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
    return parts.app(channel, stream, isolated, slots, parts.sweep(book, rinses), server=server)


def _engine(
    settings: RenderSettings,
    parts: Assembly,
    catalogue: Catalogue,
    decode: Decode,
    *,
    metrics: RenderMetrics,
    rinses: list[Rinse],
) -> Choice:
    """rinses: gets those of the connections that an engine sends pixels over."""
    put = watermark.unmarked if settings.render_marking == "off" else watermark.embed
    makers: Mapping[str, Make] = {
        "null": NullEngine,
        "onnx": lambda: OnnxEngine(
            model_dir=settings.render_model_dir,
            catalogue=catalogue,
            intra_op_threads=settings.render_threads,
            decode=decode,
            watermark=put,
        ),
        "triton": lambda: _triton(settings, parts, catalogue, decode, put, rinses),
    }
    mark = _mark(settings, catalogue, metrics)
    return Choice(
        [mark(makers[name]()) for name in settings.render_engine],
        catalogue=catalogue,
        preferred=settings.render_scene_engines,
        fell_back=lambda failed, instead: metrics.fallbacks.labels(failed, instead).inc(),
    )


def _triton(
    settings: RenderSettings,
    parts: Assembly,
    catalogue: Catalogue,
    decode: Decode,
    put: watermark.Mark,
    rinses: list[Rinse],
) -> Engine:
    # Who doesn't use a pool doesn't load its client.
    from services.render.engines.triton.engine import TritonEngine  # noqa: PLC0415
    from services.render.engines.triton.metrics import PoolMetrics  # noqa: PLC0415
    from services.render.engines.triton.pool import Pool  # noqa: PLC0415

    processors = settings.pool()
    pool = Pool(
        processors,
        identity=parts.identity,
        metrics=PoolMetrics(parts.metrics.registry),
        clock=parts.clock,
        call_seconds=settings.render_pool_seconds,
    )
    rinses.append(lambda: asyncio.to_thread(pool.rinse))
    return TritonEngine(pool, processors=processors, catalogue=catalogue, decode=decode, watermark=put)


def _mark(settings: RenderSettings, catalogue: Catalogue, metrics: RenderMetrics) -> Callable[[Engine], Engine]:
    """What makes an engine's pictures say what they are. The null engine's are none of a photo, and say nothing."""
    if settings.render_marking == "off":
        _log.critical("marking_off")
        metrics.marking.set(0)
        return lambda engine: engine
    if set(settings.render_engine) <= {NullEngine.name}:
        return lambda engine: engine
    credentials = Credentials.load(settings.render_c2pa_cert, settings.render_c2pa_key)
    metrics.credentials_expire.set(credentials.expires)

    def mark(engine: Engine) -> Engine:
        if engine.name == NullEngine.name:
            return engine
        return Marked(
            engine,
            catalogue=catalogue,
            credentials=credentials,
            marked=lambda kind: metrics.marked.labels(kind).inc(),
        )

    return mark
