"""A look at what a model has made before anybody else sees it.

A checker that comes with a model would have the pipeline hand out a black picture in silence. Here it only judges, and
a picture that it refuses is an error that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from mesh.errors import Invalid
from services.render.steps.pixels import Array, to_bytes

Checker = Callable[[Array], bool]
"""(H, W, 3) 0..1 -> whether it may be shown."""


def refused() -> Invalid:
    """The same photo, scene and seed would make it again."""
    return Invalid(
        "PICTURE_REFUSED",
        "The picture that was made did not pass the safety check and was deleted; try another scene or another photo.",
        field="scene_id",
    )


def of(pipeline: Any, torch: Any) -> Checker | None:
    """Takes the checker out of a pipeline, if it has one.

    Its interface is diffusers' ``StableDiffusionSafetyChecker``: (clip_input, images) -> (images, [flagged]).
    """
    network, extractor = getattr(pipeline, "safety_checker", None), getattr(pipeline, "feature_extractor", None)
    if network is None or extractor is None:
        return None
    pipeline.register_modules(safety_checker=None)
    if "requires_safety_checker" in pipeline.config:
        pipeline.register_to_config(requires_safety_checker=False)
    device, dtype = pipeline.device, pipeline.dtype
    network.to(device=device, dtype=dtype)
    nothing = np.zeros((1, 1, 1, 3), np.float32)  # what it may paint black

    def may_be_shown(rgb: Array) -> bool:
        seen = extractor(Image.fromarray(to_bytes(rgb)), return_tensors="pt").pixel_values.to(device, dtype)
        with torch.inference_mode():
            flagged = network(images=nothing.copy(), clip_input=seen)[1]
        return not any(flagged)

    return may_be_shown
