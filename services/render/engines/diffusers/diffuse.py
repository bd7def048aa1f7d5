"""The model's part of a picture: what it is given of the photo, and how the child is put back into what it made."""

from __future__ import annotations

import numpy as np

from services.render.engines.diffusers.pipeline import Asked, GoOn, Pipeline
from services.render.scene import Diffusion
from services.render.steps.face import ellipse
from services.render.steps.oils import enlarged
from services.render.steps.pixels import Array, blur, clip, mix, resize, smoothstep
from services.render.steps.workspace import Workspace

_INSIDE = 0.75  # coverage from which on a pixel is the subject's own: the model paints beneath its very edge
_FACE = 0.92  # how much of the face is the photo's in a picture that is painted throughout
_TONE, _MOST = 0.35, 0.10  # share of the painting's light that the face takes on, and the most of it (0..1)


def run(ws: Workspace, scene: Diffusion, pipeline: Pipeline, go_on: GoOn) -> None:
    """Sets ``picture``. Raises what ``Pipeline.paint`` does."""
    if scene.mode == "around":
        _around(ws, scene, pipeline, go_on)
    else:
        _whole(ws, scene, pipeline, go_on)


def _around(ws: Workspace, scene: Diffusion, pipeline: Pipeline, go_on: GoOn) -> None:
    """The world is made around the placed subject, and the subject laid over it again: a model's decoder blurs what it
    was to keep."""
    layer, alpha = ws.need_layer()
    soft = blur(alpha, 0.003 * min(alpha.shape))
    free = np.asarray(soft < _INSIDE, np.float32)
    start = mix(ws.need_picture(), layer, alpha)
    made = pipeline.paint(Asked(scene, start, free, _portrait(ws), ws.job.seed), go_on)
    ws.picture = mix(made, layer, alpha)


def _whole(ws: Workspace, scene: Diffusion, pipeline: Pipeline, go_on: GoOn) -> None:
    portrait = _portrait(ws)
    photo, alpha, face = enlarged(ws)
    height, width = alpha.shape
    whole = photo if ws.backdrop is None else clip(resize(ws.backdrop, width, height))
    made = pipeline.paint(Asked(scene, whole, None, portrait, ws.job.seed), go_on)
    guard = ellipse(face, height, width, 0.5) * smoothstep(0.1, 0.9, alpha)
    ws.picture = clip(mix(made, _in_the_light_of(made, photo, 0.3 * face.rx), _FACE * guard))
    ws.face = face


def _in_the_light_of(made: Array, photo: Array, sigma: float) -> Array:
    """The photo with a little of the painting's broad light and colour, so that the face isn't a patch."""
    return clip(photo + np.clip(_TONE * (blur(made, sigma) - blur(photo, sigma)), -_MOST, _MOST))


def _portrait(ws: Workspace) -> Array:
    """The head with a little air, from the scrubbed photo (or the canvas): what an identity adapter looks at."""
    picture = ws.layer if ws.layer is not None else ws.need_photo()
    face, (height, width) = ws.need_face(), picture.shape[:2]
    top, left = max(0, int(face.y - 1.4 * face.ry)), max(0, int(face.x - 1.6 * face.rx))
    head = picture[top : int(face.y + 1.4 * face.ry) + 1, left : int(face.x + 1.6 * face.rx) + 1]
    return head if min(head.shape[:2]) >= 8 else picture[:height, :width]
