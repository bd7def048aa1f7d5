"""How much of a face a picture keeps: structural similarity inside the face, against the scrubbed photo.

``python -m services.render.likeness [PHOTO...]`` measures every scene. For tests and for people who work on scenes; no
service imports it.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mesh.errors import ConfigError, MeshError
from services.render import models
from services.render.catalogue import Catalogue
from services.render.contact_sheet import sample
from services.render.engines.onnx import OnnxEngine
from services.render.picture import Job
from services.render.scene import Scene
from services.render.steps import detect
from services.render.steps.pixels import Array, blur, from_bytes, luma, resize
from services.render.steps.workspace import Face, Tools, Workspace

BOUNDS = {"milestone": 0.74, "portrait": 0.85, "enhance": 0.95}
"""The least that a scene of each kind may keep of a face."""
CORE = 0.8  # of the face's half axes: from the brows to the chin
_SIZE = (96, 112)  # px, width and height at which cores are compared: strokes finer than an eyelid don't count
_C1, _C2 = 0.01**2, 0.03**2  # Wang et al., for values of 0..1


def similarity(a: Array, b: Array) -> float:
    """Mean structural similarity (Wang et al., 2004) of two luma pictures (H, W), 0..1, Gaussian windows of 1.5 px."""
    return float(similarities(a, b).mean())


def similarities(a: Array, b: Array) -> Array:
    """The same, window by window (H, W)."""
    mean_a, mean_b = blur(a, 1.5), blur(b, 1.5)
    var_a, var_b = blur(a * a, 1.5) - mean_a**2, blur(b * b, 1.5) - mean_b**2
    both = blur(a * b, 1.5) - mean_a * mean_b
    top = (2 * mean_a * mean_b + _C1) * (2 * both + _C2)
    return np.asarray(top / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2)), np.float32)


@dataclass(frozen=True, slots=True)
class Measured:
    """likeness: of each face, -1..1. picture: (H, W, 3), as it was before it was encoded."""

    likeness: tuple[float, ...]
    picture: Array


def measure(scene: Scene, job: Job, faces: Sequence[Face], tools: Tools, side: int) -> Measured:
    """Makes the scene of a photo whose faces are known. faces: in shares of the upright photo. side: as the engine's.

    Where a face went is told by the workspace's own: the same shift and enlargement hold for all of the subject.
    """
    ws = Workspace(job, scene.id, scene.kind, scene.min_side, scene.caption("", ""), side)
    photo, track = None, []
    for step in scene.recipe:
        if step.name == "encode":
            break
        step.run(ws, tools)
        if step.name == "orient":
            photo = ws.need_photo()
        if ws.face is not None:
            track.append(ws.face)
    assert photo is not None  # every recipe begins so
    picture = ws.need_picture()
    height, width = photo.shape[:2]
    whole = Face(width / 2, height / 2, width / 2, height / 2), Face(*_halves(picture))
    start, end = (track[0], track[-1]) if track else whole
    known = [Face(face.x * width, face.y * height, face.rx * width, face.ry * height) for face in faces]
    likeness = (similarity(_core(photo, face), _core(picture, _moved(face, start, end))) for face in known)
    return Measured(tuple(likeness), picture)


def _halves(picture: Array) -> tuple[float, float, float, float]:
    height, width = picture.shape[:2]
    return width / 2, height / 2, width / 2, height / 2


def _moved(face: Face, start: Face, end: Face) -> Face:
    scale = end.rx / start.rx
    return face.moved(scale, end.x - start.x * scale, end.y - start.y * scale)


def _core(rgb: Array, face: Face) -> Array:
    """The face's middle as luma, at one brightness and contrast: a scene may light a face, and not redraw it."""
    top, left = max(0, round(face.y - CORE * face.ry)), max(0, round(face.x - CORE * face.rx))
    part = rgb[top : round(face.y + CORE * face.ry), left : round(face.x + CORE * face.rx)]
    light = luma(resize(part, *_SIZE))
    return np.asarray((light - light.mean()) / max(float(light.std()), 1e-3) * 0.2 + 0.5, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.render.likeness", description=__doc__)
    parser.add_argument("photos", nargs="*", type=Path, help="upright; without any, the sample portrait")
    parser.add_argument("--scenes", default="", help="ids with commas between; all when empty")
    args = parser.parse_args()
    try:
        catalogue = Catalogue.load()
        engine = OnnxEngine(model_dir=models.default_dir(), catalogue=catalogue, intra_op_threads=2, side=640)
        engine.start()
        for scene in [catalogue.get(name) for name in args.scenes.split(",") if name] or catalogue.scenes():
            for photo in args.photos or [sample()]:
                job, faces = _seen(photo, scene.id, engine.tools)
                kept = measure(scene, job, faces, engine.tools, 640).likeness
                told = "  ".join(f"{likeness:.3f}" for likeness in kept) or "no face seen"
                short = "  below" if kept and min(kept) < BOUNDS[scene.kind] else ""
                sys.stdout.write(f"{scene.id:24} {photo.name:24} {told}{short}\n")
    except (ConfigError, MeshError, OSError) as error:
        parser.exit(78, f"{error}\n")


def _seen(photo: Path, scene_id: str, tools: Tools) -> tuple[Job, list[Face]]:
    """A job of the photo, and its faces (not heads) as the detector sees them."""
    data = photo.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        kind, (width, height) = (image.format or "").lower(), image.size
        rgb = from_bytes(np.asarray(image.convert("RGB")))
    heads = detect.heads(rgb, (0, 0, width, height), tools.networks)
    faces = [Face(head.x / width, head.y / height, 0.85 * head.rx / width, 0.85 * head.ry / height) for head in heads]
    return Job([data], kind, width, height, 1, scene_id), faces


if __name__ == "__main__":
    main()
