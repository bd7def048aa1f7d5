"""The embedded engine: two real networks on the CPU, in this process, with no network and no disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from mesh.errors import ConfigError
from services.render import models
from services.render.catalogue import Catalogue
from services.render.decoding import Decode, decode_here
from services.render.engines.recipes import SIDE_PX, RecipeEngine
from services.render.marking.watermark import Mark, unmarked
from services.render.steps.cut_out import SIDE
from services.render.steps.pixels import Array

WARM_SIDE = 64  # px; enough to make the style network allocate and compile what it will


class OnnxEngine(RecipeEngine):
    """Sessions are loaded once and shared: onnxruntime's ``run`` is safe from several threads."""

    name = "onnx"
    processors: tuple[str, ...] = ("onnx-embedded",)

    def __init__(
        self,
        *,
        model_dir: Path,
        catalogue: Catalogue,
        intra_op_threads: int = 1,
        side: int = SIDE_PX,
        decode: Decode = decode_here,
        watermark: Mark = unmarked,
    ) -> None:
        """See ``RecipeEngine``. model_dir: where `make setup` put the networks."""
        super().__init__(catalogue=catalogue, side=side, decode=decode, watermark=watermark)
        self._model_dir = model_dir
        self._threads = intra_op_threads

    def networks(self) -> OnnxNetworks:
        networks = OnnxNetworks(models.verify(self._model_dir), models.style_network(), self._threads)
        networks.cut_out(np.zeros((SIDE, SIDE, 3), np.float32))
        networks.stylize(np.zeros((WARM_SIDE, WARM_SIDE, 3), np.float32), (1.0, *([0.0] * 25)))
        return networks


class OnnxNetworks:
    """``Networks`` on onnxruntime."""

    def __init__(self, cut_out: Path, style: Path, threads: int) -> None:
        self._cut_out = session(cut_out, threads)
        self._cut_out_input = self._cut_out.get_inputs()[0].name
        self._style = session(style, threads)

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


def session(path: Path, threads: int) -> Any:
    """An onnxruntime session that keeps nothing of what it ran. Raises ConfigError."""
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
