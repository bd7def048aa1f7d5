"""The state that the steps of one render share, and the tools that they are lent.

Everything in a ``Workspace`` is derived from one photo; the engine drops it when the last step has run. ``Tools``
outlives renders and therefore holds nothing of any photo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from services.render.decoding import Decode
from services.render.picture import Job, Picture
from services.render.steps.params import Color
from services.render.steps.pixels import Array


class Networks(Protocol):
    """The two networks, wherever they run."""

    def cut_out(self, rgb: Array) -> Array:
        """(320, 320, 3) 0..1 -> saliency (320, 320), unscaled."""

    def stylize(self, rgb: Array, weights: tuple[float, ...]) -> Array:
        """(H, W, 3) 0..1 -> (H, W, 3) 0..1. ``weights``: shares of the 26 styles."""


@dataclass(slots=True)
class Painted:
    """A painted world without a subject: what stands behind and what overlaps the subject's lower edge.

    back: uint8 (H, W, 3); front: uint8 (H, W, 4), straight alpha.
    """

    back: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    front: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Tools:
    """networks: the engine's; painted: (key, paint) -> a world from the bounded store, painted when absent;
    decode: where photos become pixels; watermark: (picture) -> the same with its invisible mark."""

    networks: Networks
    painted: Callable[[tuple[str, int, int, int], Callable[[], Painted]], Painted]
    decode: Decode
    watermark: Callable[[Array], Array] = lambda picture: picture


@dataclass(slots=True)
class Face:
    """A head, roughly: centre and half axes in px of ``photo`` (or of the canvas, once placed)."""

    x: float
    y: float
    rx: float
    ry: float


@dataclass(frozen=True, slots=True)
class Light:
    """Where the scene's light stands (canvas px), its colour, and the colour of the light from everywhere else."""

    x: float
    y: float
    color: Color
    ambient: Color


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the photo's border cut the placed subject: its "left" or "right" side, at a column of the canvas (px)."""

    side: str
    column: int


@dataclass(slots=True)
class Workspace:
    """Steps read and replace these. ``None``: no step has made it yet.

    side:     px, the picture's longer side.
    photo:    (H, W, 3), working copy of the photo.
    alpha:    (H, W), the subject's coverage in ``photo``.
    backdrop: (H, W, 3), the photo as it was before ``refine`` took the old background out of the subject's edge.
    shape:    (H, W), transparency that the photo itself came with.
    face:     the subject's head in ``photo``; after ``place``, on the canvas.
    light:    the scene's; set by ``backdrop``.
    picture:  (h, w, 3), the canvas.
    layer:    (h, w, 3) and layer_alpha (h, w): the placed subject, and front (h, w, 4) what stands before it.
    cuts:     of the placed subject, those that lie in the open.
    likeness: (h, w, 3), the subject in ``layer`` or ``picture`` before it was painted.
    """

    job: Job
    scene_id: str
    kind: str
    min_side: int
    caption: str
    side: int = 1280
    photo: Array | None = None
    alpha: Array | None = None
    backdrop: Array | None = None
    shape: Array | None = None
    face: Face | None = None
    light: Light | None = None
    monochrome: bool = False
    found: bool = True
    picture: Array | None = None
    layer: Array | None = None
    layer_alpha: Array | None = None
    front: Array | None = None
    cuts: tuple[Cut, ...] = ()
    likeness: Array | None = None
    result: Picture | None = None
    notes: dict[str, float] = field(default_factory=dict)

    def need_photo(self) -> Array:
        return _need(self.photo, "photo")

    def need_alpha(self) -> Array:
        return _need(self.alpha, "alpha")

    def need_picture(self) -> Array:
        return _need(self.picture, "picture")

    def need_layer(self) -> tuple[Array, Array]:
        return _need(self.layer, "layer"), _need(self.layer_alpha, "layer_alpha")

    def need_light(self) -> Light:
        if self.light is None:
            raise RecipeOrder("light")
        return self.light

    def need_face(self) -> Face:
        if self.face is None:
            raise RecipeOrder("face")
        return self.face


class RecipeOrder(RuntimeError):
    """A step ran before the one that makes what it needs: a mistake in a scene file that the tests must catch."""


def _need(value: Array | None, name: str) -> Array:
    if value is None:
        raise RecipeOrder(name)
    return value
