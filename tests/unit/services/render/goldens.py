"""A small picture of each scene, kept, and how a new one is compared with it.

``python -m tests.unit.services.render.goldens [SCENE_ID...]`` makes them anew. Look at the contact sheet before.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from services.render import drawn_child, models
from services.render.catalogue import Catalogue
from services.render.decoding import Decoded, decode_here
from services.render.engines.onnx import OnnxEngine
from services.render.likeness import Measured, measure, similarities
from services.render.picture import Job
from services.render.scene import Scene
from services.render.steps.pixels import Array, from_bytes, luma, resize, to_bytes, to_lab
from services.render.steps.workspace import Face, Tools

FOLDER = Path(__file__).parent / "goldens"
_ROOM = FOLDER / "room.json"
SIDE = 320  # px, of the picture that is made
LONGER = 112  # px, of what is kept
TILES = (6, 8)
ROOM = 2.0
"""How much farther than a photo's noise moves it a picture may be from the kept one: other processors round otherwise,
and where that takes a brush stroke away or adds one, a tile shows it."""
LEAST_ROOM = (0.01, 0.5)
WIDEST = (0.9, 2.0)
"""Similarity and colour beyond which a room says little: a scene that noise moves so far is to be mended, not its room.
Two neighbouring colours are told apart from 2.3 on (Mahy et al., 1994)."""


def siblings() -> tuple[Job, list[Face]]:
    """A photo of two drawn children, and where their faces are."""
    photo, faces = drawn_child.siblings()
    out = io.BytesIO()
    photo.save(out, "PNG")
    return Job([out.getvalue()], "png", *photo.size, 1, ""), [Face(*face) for face in faces]


def measured(scene: Scene, tools: Tools) -> Measured:
    job, faces = siblings()
    return measure(scene, job, faces, tools, SIDE)


def noisy(format: str, frames: Sequence[bytes], /) -> Decoded:
    """Decodes, and moves each value by -1, 0 or 1."""
    found = decode_here(format, frames)
    noise = np.random.default_rng(1).integers(-1, 2, found.rgb.shape)
    return Decoded(np.clip(found.rgb + noise, 0, 255).astype(np.uint8), found.shape)


@dataclass(frozen=True, slots=True)
class Difference:
    """Of the worst tile: similarity (SSIM of luma), colour (distance of mean colours, CIELAB)."""

    similarity: float
    colour: float

    def within(self, room: Difference) -> bool:
        return self.similarity >= room.similarity and self.colour <= room.colour

    def with_room(self) -> Difference:
        """As far as a picture may be, when noise in the photo made this difference."""
        lost, far = LEAST_ROOM
        return Difference(round(1 - max(lost, ROOM * (1 - self.similarity)), 3), round(max(far, ROOM * self.colour), 2))


def difference(a: Array, b: Array) -> Difference:
    """a, b: small pictures (H, W, 3). Of different sizes they are different altogether."""
    if a.shape != b.shape:
        return Difference(0.0, 100.0)
    alike = _tiles(similarities(luma(a), luma(b)))
    far = np.sqrt((_tiles(to_lab(a) - to_lab(b)) ** 2).sum(axis=-1))
    return Difference(float(alike.min()), float(far.max()))


def flat(a: Array) -> list[Array]:
    """Pictures (H, W, 3) with nothing on them: black, white, the mean colour of ``a`` and of each of its tiles."""
    patches = _tiles(a)
    rows = np.arange(a.shape[0]) * TILES[1] // a.shape[0]
    columns = np.arange(a.shape[1]) * TILES[0] // a.shape[1]
    mosaic = patches.reshape(TILES[1], TILES[0], 3)[rows[:, None], columns]
    return [np.zeros_like(a), np.ones_like(a), np.broadcast_to(a.mean(axis=(0, 1)), a.shape), mosaic]


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


def room(scene_id: str) -> Difference:
    return Difference(*json.loads(_ROOM.read_text())[scene_id])


def main() -> None:
    catalogue = Catalogue.load()
    engine = OnnxEngine(model_dir=models.default_dir(), catalogue=catalogue, side=SIDE)
    engine.start()
    FOLDER.mkdir(exist_ok=True)
    rooms = json.loads(_ROOM.read_text()) if _ROOM.exists() else {}
    for scene in [catalogue.get(name) for name in sys.argv[1:]] or catalogue.scenes():
        made = small(measured(scene, engine.tools).picture)
        moved = small(measured(scene, replace(engine.tools, decode=noisy)).picture)
        found = difference(made, moved).with_room()
        if not found.within(Difference(*WIDEST)):
            sys.exit(f"{scene.id}: {found}, wider than {WIDEST}: what in it hangs on a photo's noise?")
        Image.fromarray(to_bytes(made)).save(path(scene.id), "WEBP", lossless=True, method=6)
        rooms[scene.id] = [found.similarity, found.colour]
        sys.stdout.write(f"{scene.id}: {found}\n")
    known = {scene.id for scene in catalogue.scenes()}
    for stale in {file.stem for file in FOLDER.glob("*.webp")} - known:
        path(stale).unlink()
    lines = [f'  "{name}": {json.dumps(rooms[name])}' for name in sorted(known & set(rooms))]
    _ROOM.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
