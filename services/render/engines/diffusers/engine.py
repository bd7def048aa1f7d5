"""The engine for a local GPU (or CPU): a diffusion model paints, and everything before and after it is as ever."""

from __future__ import annotations

from pathlib import Path

from services.render import recipe
from services.render.catalogue import Catalogue, unknown_scene
from services.render.decoding import Decode, decode_here
from services.render.engines.diffusers import diffuse, plan
from services.render.engines.diffusers.pipeline import Pipeline, Weights
from services.render.engines.onnx import OnnxEngine
from services.render.engines.recipes import SIDE_PX
from services.render.marking.watermark import Mark, unmarked
from services.render.picture import Cancelled, Job, Progress
from services.render.scene import Scene
from services.render.steps.workspace import Tools, Workspace


class DiffusersEngine(OnnxEngine):
    """Makes the scenes that ask for it. The subject is found by the embedded networks, in this process, too."""

    name = "diffusers"
    processors: tuple[str, ...] = ("diffusers-local", *OnnxEngine.processors)

    def __init__(
        self,
        *,
        weights: Weights,
        model_dir: Path,
        catalogue: Catalogue,
        side: int = SIDE_PX,
        decode: Decode = decode_here,
        watermark: Mark = unmarked,
    ) -> None:
        """See ``OnnxEngine``. Raises ConfigError for a scene that can't be made as it asks."""
        for scene in catalogue.scenes():
            if scene.made_by(self.name):
                plan.of(scene)
        super().__init__(
            model_dir=model_dir,
            catalogue=catalogue,
            intra_op_threads=weights.threads,
            side=side,
            decode=decode,
            watermark=watermark,
        )
        self._weights = weights
        self._pipeline: Pipeline | None = None

    def start(self) -> None:
        """Raises ConfigError: a library, a weight or a network is missing or altered."""
        self._pipeline = Pipeline(self._weights)
        super().start()

    def steps(self, scene: Scene, job: Job, progress: Progress, cancelled: Cancelled) -> recipe.Recipe:
        """The scene's, with the model in the place of what it stands in for."""
        if not scene.made_by(self.name):
            raise unknown_scene()
        pipeline, planned = self._pipeline, plan.of(scene)
        if pipeline is None:
            raise RuntimeError("the engine was not started")

        def go_on(share: float) -> None:
            recipe.go_on(job, cancelled)
            progress(plan.DIFFUSE, planned.fraction(share))

        def run(ws: Workspace, tools: Tools) -> None:
            diffuse.run(ws, planned.asked, pipeline, go_on)

        return planned.recipe(run)

    def close(self) -> None:
        super().close()
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None
