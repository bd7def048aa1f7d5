"""The embedded engine: two real networks on the CPU, in this process, with no network and no disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from PIL import Image

from mesh.errors import ConfigError
from services.render import fonts, models, recipe
from services.render.catalogue import Catalogue
from services.render.decoding import Decode, decode_here
from services.render.engines.painted import PaintedStore
from services.render.picture import Cancelled, Job, Picture, Progress
from services.render.steps.cut_out import SIDE
from services.render.steps.pixels import Array
from services.render.steps.workspace import Tools, Workspace

SIDE_PX = 1280
WARM_SIDE = 64  # px; enough to make the style network allocate and compile what it will


class OnnxEngine:
    """Sessions are loaded once and shared: onnxruntime's ``run`` is safe from several threads."""

    name = "onnx"

    def __init__(
        self,
        *,
        model_dir: Path,
        catalogue: Catalogue,
        intra_op_threads: int = 1,
        side: int = SIDE_PX,
        decode: Decode = decode_here,
    ) -> None:
        """side: px, longer side of the pictures; smaller ones serve as previews. decode: a service's is isolated."""
        self._model_dir = model_dir
        self._catalogue = catalogue
        self._threads = intra_op_threads
        self._side = side
        self._decode = decode
        self._tools: Tools | None = None

    def start(self) -> None:
        """Raises ConfigError when a model file is missing or altered, or a font package is."""
        fonts.load()
        Image.init()  # Pillow imports its encoders on first use; a process under lockdown should not have to
        networks = OnnxNetworks(models.verify(self._model_dir), models.style_network(), self._threads)
        networks.cut_out(np.zeros((SIDE, SIDE, 3), np.float32))
        networks.stylize(np.zeros((WARM_SIDE, WARM_SIDE, 3), np.float32), (1.0, *([0.0] * 25)))
        self._tools = Tools(networks, PaintedStore(), self._decode)

    def render(self, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        if self._tools is None:
            raise RuntimeError("the engine was not started")
        scene = self._catalogue.get(job.scene_id)
        ws = Workspace(job, scene.id, scene.kind, scene.min_side, scene.caption(job.caption_id, job.locale), self._side)
        return recipe.run(scene.recipe, ws, self._tools, progress, cancelled)

    def close(self) -> None:
        self._tools = None


class OnnxNetworks:
    """``Networks`` on onnxruntime."""

    def __init__(self, cut_out: Path, style: Path, threads: int) -> None:
        self._cut_out = _session(cut_out, threads)
        self._cut_out_input = self._cut_out.get_inputs()[0].name
        self._style = _session(style, threads)

    def cut_out(self, rgb: Array) -> Array:
        feed = {self._cut_out_input: np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])}
        # The first of seven outputs is the fused map; the others are only for training.
        return np.asarray(self._cut_out.run([self._cut_out.get_outputs()[0].name], feed)[0][0, 0], np.float32)

    def stylize(self, rgb: Array, weights: tuple[float, ...]) -> Array:
        height, width = rgb.shape[:2]
        # The network halves twice: pad to a multiple of 4, crop after.
        padded = np.pad(rgb, ((0, -height % 4), (0, -width % 4), (0, 0)), mode="edge")
        feed = {
            "image": np.ascontiguousarray(padded.transpose(2, 0, 1)[None]),
            "style_weights": np.asarray(weights, np.float32),
        }
        out = self._style.run(["stylized"], feed)[0][0].transpose(1, 2, 0)
        return np.asarray(np.clip(out[:height, :width], 0, 1), np.float32)


def _session(path: Path, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # An arena and a memory pattern keep blocks, and with them pixels, after a run.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    # Spinning threads would burn a core between two pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own per failure
        raise ConfigError(f"model file {path.name} does not load: {type(error).__name__}") from None
