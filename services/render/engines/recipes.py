"""The engine that runs a scene's recipe as it stands, wherever the networks are that its steps ask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from PIL import Image

from services.render import fonts, recipe
from services.render.catalogue import Catalogue
from services.render.decoding import Decode, decode_here
from services.render.engines.painted import PaintedStore
from services.render.marking import source_type
from services.render.marking.watermark import Mark, unmarked
from services.render.picture import Cancelled, Job, Picture, Progress
from services.render.scene import Scene
from services.render.steps.workspace import Networks, Tools, Workspace

SIDE_PX = 1280


class RecipeEngine(ABC):
    """Steps run in the caller's thread. ``OnnxEngine`` and ``TritonEngine`` say which networks the steps are lent;
    ``DiffusersEngine`` has a model of its own in the place of some steps."""

    name = ""
    processors: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        side: int = SIDE_PX,
        decode: Decode = decode_here,
        watermark: Mark = unmarked,
    ) -> None:
        """side: px, longer side of the pictures; smaller ones serve as previews. decode: a service's is isolated."""
        self._catalogue = catalogue
        self._watermark = watermark
        self._side = side
        self._decode = decode
        self._tools: Tools | None = None

    @abstractmethod
    def networks(self) -> Networks:
        """Load and warm them. Raises ConfigError."""

    def lent(self, networks: Networks, job: Job, cancelled: Cancelled) -> Networks:
        """The networks as one job sees them."""
        return networks

    def steps(self, scene: Scene, job: Job, progress: Progress, cancelled: Cancelled) -> recipe.Recipe:
        """What is run for one job."""
        return scene.recipe

    def start(self) -> None:
        """Raises ConfigError when a model file is missing or altered, or a font package is."""
        fonts.load()
        Image.init()  # Pillow imports its encoders on first use; a process under lockdown should not have to
        self._tools = Tools(self.networks(), PaintedStore(), self._decode)

    def ready(self) -> bool:
        return self._tools is not None

    def render(self, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        if self._tools is None:
            raise RuntimeError("the engine was not started")
        scene = self._catalogue.get(job.scene_id)
        ws = Workspace(job, scene.id, scene.kind, scene.min_side, scene.caption(job.caption_id, job.locale), self._side)
        made = source_type.of(scene.kind, self.name)
        tools = replace(
            self._tools,
            networks=self.lent(self._tools.networks, job, cancelled),
            watermark=lambda picture: self._watermark(picture, made),
        )
        return recipe.run(self.steps(scene, job, progress, cancelled), ws, tools, progress, cancelled)

    def close(self) -> None:
        self._tools = None
