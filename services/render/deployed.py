"""The engines that the settings ask for, as one. What they make of a photo says what it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mesh.assembly import Assembly
from mesh.errors import ConfigError
from mesh.forgetting.sweep import Rinse
from mesh.log import get_logger
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

_log = get_logger()


@dataclass(slots=True)
class Deployed:
    """rinses: of the connections that an engine sends pixels over; filled by ``engine``."""

    settings: RenderSettings
    parts: Assembly
    catalogue: Catalogue
    decode: Decode
    metrics: RenderMetrics
    rinses: list[Rinse] = field(default_factory=list)

    def engine(self) -> Choice:
        """Raises ConfigError."""
        makers: Mapping[str, Make] = {
            "diffusers": self._diffusers,
            "null": NullEngine,
            "onnx": self._onnx,
            "triton": self._triton,
        }
        made = [makers[name]() for name in self.settings.render_engine]
        mark = self._mark()
        return Choice(
            [mark(engine) for engine in made],
            catalogue=self.catalogue,
            preferred=self.settings.render_scene_engines,
            fell_back=lambda failed, instead: self.metrics.fallbacks.labels(failed, instead).inc(),
        )

    def _watermark(self) -> watermark.Mark:
        return watermark.unmarked if self.settings.render_marking == "off" else watermark.embed

    def _onnx(self) -> Engine:
        return OnnxEngine(
            model_dir=self.settings.render_model_dir,
            catalogue=self.catalogue,
            intra_op_threads=self.settings.render_threads,
            decode=self.decode,
            watermark=self._watermark(),
        )

    def _triton(self) -> Engine:
        # Who doesn't use a pool doesn't load its client.
        from services.render.engines.triton.engine import TritonEngine  # noqa: PLC0415
        from services.render.engines.triton.metrics import PoolMetrics  # noqa: PLC0415
        from services.render.engines.triton.pool import Pool  # noqa: PLC0415

        processors = self.settings.pool()
        pool = Pool(
            processors,
            identity=self.parts.identity,
            metrics=PoolMetrics(self.parts.metrics.registry),
            clock=self.parts.clock,
            call_seconds=self.settings.render_pool_seconds,
        )
        self.rinses.append(lambda: asyncio.to_thread(pool.rinse))
        return TritonEngine(
            pool, processors=processors, catalogue=self.catalogue, decode=self.decode, watermark=self._watermark()
        )

    def _diffusers(self) -> Engine:
        from services.render.engines.diffusers.engine import DiffusersEngine  # noqa: PLC0415
        from services.render.engines.diffusers.pipeline import Weights  # noqa: PLC0415

        settings = self.settings
        if settings.render_diffusers_dir is None or not settings.render_diffusers_manifest:
            missing = "MANIFEST" if settings.render_diffusers_dir else "DIR"
            raise ConfigError(f"MAYFLY_RENDER_DIFFUSERS_{missing}: is not set, and the engine diffusers needs it")
        weights = Weights(
            settings.render_diffusers_dir,
            settings.render_diffusers_manifest,
            device=settings.render_diffusers_device,
            dtype=settings.render_diffusers_dtype,
            threads=settings.render_threads,
            checker_required=settings.render_safety_checker == "required",
        )
        return DiffusersEngine(
            weights=weights,
            model_dir=settings.render_model_dir,
            catalogue=self.catalogue,
            decode=self.decode,
            watermark=self._watermark(),
        )

    def _mark(self) -> Callable[[Engine], Engine]:
        """What makes an engine's pictures say what they are. The null engine's are none of a photo, and say nothing."""
        if self.settings.render_marking == "off":
            _log.critical("marking_off")
            self.metrics.marking.set(0)
            return lambda engine: engine
        if set(self.settings.render_engine) <= {NullEngine.name}:
            return lambda engine: engine
        credentials = Credentials.load(self.settings.render_c2pa_cert, self.settings.render_c2pa_key)
        self.metrics.credentials_expire.set(credentials.expires)

        def mark(engine: Engine) -> Engine:
            if engine.name == NullEngine.name:
                return engine
            return Marked(
                engine,
                catalogue=self.catalogue,
                credentials=credentials,
                marked=lambda kind: self.metrics.marked.labels(kind).inc(),
            )

        return mark
