"""A small picture of each scene, kept, and how a new one is compared with it.

``python -m tests.unit.services.render.goldens [SCENE_ID...]`` makes them anew. Look at the contact sheet before.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from services.render import models
from services.render.catalogue import Catalogue
from services.render.drawn_child import FACE, child
from services.render.engines.onnx import OnnxEngine
from services.render.likeness import Measured, measure, similarities
from services.render.picture import Job
from services.render.scene import Scene
from services.render.steps.pixels import Array, from_bytes, luma, resize, to_bytes, to_lab
from services.render.steps.workspace import Face, Tools

FOLDER = Path(__file__).parent / "goldens"
SIDE = 320  # px, of the picture that is made
LONGER = 128  # px, of what is kept
TILES = (6, 8)
LEAST_SIMILAR = 0.80
MOST_COLOUR = 5.0
"""CIELAB distance."""


def pair() -> tuple[Job, list[Face]]:
    """A photo of two drawn children of different skin, side by side, and where their faces are."""
    halves = [child(240, 300, skin=skin, seed=seed) for skin, seed in (("#e2b08d", 3), ("#7a4d33", 4))]
    photo = Image.new("RGB", (480, 300))
    for at, half in enumerate(halves):
        photo.paste(half, (240 * at, 0))
    out = io.BytesIO()
    photo.save(out, "PNG")
    x, y, rx, ry = FACE
    faces = [Face((x + at) / 2, y, rx / 2, ry) for at in (0, 1)]
    return Job([out.getvalue()], "png", *photo.size, 1, "", seed=1), faces


def measured(scene: Scene, tools: Tools) -> Measured:
    job, faces = pair()
    return measure(scene, job, faces, tools, SIDE)


@dataclass(frozen=True, slots=True)
class Difference:
    """Of the worst tile: similarity (SSIM of luma), colour (distance of mean colours, CIELAB)."""

    similarity: float
    colour: float

    @property
    def is_none(self) -> bool:
        return self.similarity >= LEAST_SIMILAR and self.colour <= MOST_COLOUR


def difference(a: Array, b: Array) -> Difference:
    """a, b: small pictures (H, W, 3). Of different sizes they are different altogether."""
    if a.shape != b.shape:
        return Difference(0.0, 100.0)
    alike = _tiles(similarities(luma(a), luma(b)))
    far = np.sqrt((_tiles(to_lab(a) - to_lab(b)) ** 2).sum(axis=-1))
    return Difference(float(alike.min()), float(far.max()))


def _tiles(values: Array) -> Array:
    """The mean of each tile."""
    rows = np.array_split(values, TILES[1], axis=0)
    return np.stack([part.mean(axis=(0, 1)) for row in rows for part in np.array_split(row, TILES[0], axis=1)])


def small(picture: Array) -> Array:
    height, width = picture.shape[:2]
    scale = LONGER / max(height, width)
    return np.clip(resize(picture, round(width * scale), round(height * scale)), 0, 1)


def path(scene_id: str) -> Path:
    return FOLDER / f"{scene_id}.webp"


def kept(scene_id: str) -> Array:
    with Image.open(path(scene_id)) as image:
        return from_bytes(np.asarray(image.convert("RGB")))


def main() -> None:
    catalogue = Catalogue.load()
    engine = OnnxEngine(model_dir=models.default_dir(), catalogue=catalogue, side=SIDE)
    engine.start()
    FOLDER.mkdir(exist_ok=True)
    for scene in [catalogue.get(name) for name in sys.argv[1:]] or catalogue.scenes():
        picture = to_bytes(small(measured(scene, engine.tools).picture))
        Image.fromarray(picture).save(path(scene.id), "WEBP", quality=92, method=6)
        sys.stdout.write(f"{path(scene.id)}\n")
    for stale in FOLDER.glob("*.webp"):
        if stale.stem not in {scene.id for scene in catalogue.scenes()}:
            stale.unlink()


if __name__ == "__main__":
    main()
