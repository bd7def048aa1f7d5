"""The engines of a deployment as one: which of them makes which scene, and what happens when it fails.

A scene is made by the first engine of the deployment's list that can make it, unless the deployment names another one
for it. When that one is away, another engine takes over only if the scene's file says that the two make equivalent
pictures; otherwise the caller gets the error. What is wrong with the photo is wrong for every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mesh.errors import ConfigError, MeshError, Unavailable
from mesh.log import error_at, get_logger
from services.render.catalogue import Catalogue
from services.render.engines.base import Engine
from services.render.picture import Cancelled, Job, Picture, Progress
from services.render.scene import Scene

_log = get_logger()


class Choice:
    """An ``Engine`` of engines. preferred: scene id → the engine that is asked first for it.

    fell_back: told (from, to) when another engine takes over.
    """

    name = "choice"

    def __init__(
        self,
        engines: Sequence[Engine],
        *,
        catalogue: Catalogue,
        preferred: Mapping[str, str] | None = None,
        fell_back: Callable[[str, str], None] = lambda failed, instead: None,
    ) -> None:
        """Raises ConfigError for a preference that can't be had."""
        self._engines = tuple(engines)
        self._fell_back = fell_back
        self._catalogue = catalogue
        self.processors = tuple(dict.fromkeys(name for engine in engines for name in engine.processors))
        self._preferred = dict(preferred or {})
        self.check(catalogue)

    def check(self, catalogue: Catalogue) -> None:
        """Raises ConfigError when a preference can't be had with these scenes."""
        scenes = {scene.id: scene for scene in catalogue.scenes()}
        for scene_id, name in sorted(self._preferred.items()):
            if scene_id not in scenes:
                raise ConfigError(f"MAYFLY_RENDER_SCENE_ENGINES: {scene_id}: there is no such scene")
            if name not in {engine.name for engine in self._able(scenes[scene_id])}:
                raise ConfigError(
                    f"MAYFLY_RENDER_SCENE_ENGINES: {scene_id}: {name} is not among the engines that can make it"
                )

    def can_make(self, scene: Scene) -> bool:
        return bool(self._able(scene))

    def _able(self, scene: Scene) -> list[Engine]:
        return [engine for engine in self._engines if scene.made_by(engine.name)]

    def _order(self, scene: Scene) -> tuple[Engine, ...]:
        able = self._able(scene)
        able.sort(key=lambda engine: engine.name != self._preferred.get(scene.id))
        return tuple(each for each in able if each is able[0] or {each.name, able[0].name} <= scene.equivalent)

    def start(self) -> None:
        for engine in self._engines:
            engine.start()

    def ready(self) -> bool:
        """Whether any of them is: a scene that none can make now is refused one by one."""
        return any(engine.ready() for engine in self._engines)

    def render(self, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        engines = self._order(self._catalogue.get(job.scene_id))
        for engine, instead in zip(engines, (*engines[1:], None), strict=True):
            if instead is not None and not engine.ready():
                self._fell_back(engine.name, instead.name)
                continue
            try:
                return engine.render(job, progress, cancelled)
            except Unavailable:
                if instead is None:
                    raise
            except MeshError:
                raise
            except Exception as error:
                if instead is None:
                    raise
                _log.error("engine_failed", error_type=type(error).__name__, error_at=error_at(error))
            self._fell_back(engine.name, instead.name)
        raise Unavailable("ENGINE_AWAY", "No engine makes this scene now; try again shortly.", retry_after=5.0)

    def close(self) -> None:
        for engine in self._engines:
            engine.close()
