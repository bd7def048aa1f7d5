"""``Networks`` that a pool runs, as one job sees them: with its deadline, and taken back with it."""

from __future__ import annotations

import math

import numpy as np

from services.render.engines.onnx import OnnxFaces
from services.render.engines.triton.contract import CUT_OUT, STYLIZE
from services.render.engines.triton.pool import Pool
from services.render.picture import Cancelled
from services.render.steps.pixels import Array


class PoolNetworks:
    """What goes over is the tensors and nothing else: no id, no scene, no name."""

    def __init__(self, pool: Pool, deadline: float = math.inf, cancelled: Cancelled = lambda: False) -> None:
        self._pool = pool
        self._deadline = deadline
        self._cancelled = cancelled

    def cut_out(self, rgb: Array) -> Array:
        image = rgb.transpose(2, 0, 1)[None]
        shape = (1, 1, *rgb.shape[:2])
        out = self._pool.infer(CUT_OUT, (image,), shape, deadline=self._deadline, cancelled=self._cancelled)
        return np.asarray(out[0, 0], np.float32)

    def stylize(self, rgb: Array, weights: tuple[float, ...]) -> Array:
        height, width = rgb.shape[:2]
        # The network halves twice: pad to a multiple of 4, crop after.
        image = np.pad(rgb, ((0, -height % 4), (0, -width % 4), (0, 0)), mode="edge").transpose(2, 0, 1)[None]
        styles = np.asarray(weights, np.float32)[None]
        out = self._pool.infer(
            STYLIZE, (image, styles), image.shape, deadline=self._deadline, cancelled=self._cancelled
        )
        return np.asarray(np.clip(out[0].transpose(1, 2, 0)[:height, :width], 0, 1), np.float32)


class WithFaces(PoolNetworks):
    """And the face detector, which is small and stays here: what is in a pool needn't learn where faces are."""

    def __init__(
        self, detector: OnnxFaces, pool: Pool, deadline: float = math.inf, cancelled: Cancelled = lambda: False
    ) -> None:
        super().__init__(pool, deadline, cancelled)
        self._detector = detector

    def faces(self, rgb: Array) -> Array:
        return self._detector.faces(rgb)
