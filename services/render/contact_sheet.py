"""Draws every scene with some photos on one sheet, for judging them by eye and for ``docs/scenes.md``.

``python -m services.render.contact_sheet [PHOTO...] -o FILE``: without a photo, the sample portrait that matplotlib
carries is taken; ``--side 640`` draws a first look in a third of the time. This is a tool for people who work on
scenes; no service imports it.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from mesh.errors import ConfigError, MeshError
from services.render import fonts, models
from services.render.catalogue import Catalogue
from services.render.engines.onnx import OnnxEngine
from services.render.engines.recipes import SIDE_PX
from services.render.picture import Job, Picture
from services.render.scene import KINDS, Scene

CELL = (252, 315)  # px, a picture's place
GAP, LINE = 14, 34
MOST_BYTES = 900_000
GROUND, INK = (250, 248, 244), (70, 66, 60)


def sample() -> Path:
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise ConfigError("name a photo, or install the dev extra, whose matplotlib carries one")
    return Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"


def render(engine: OnnxEngine, scene_id: str, photo: bytes) -> Picture:
    with Image.open(io.BytesIO(photo)) as image:
        kind = (image.format or "").lower()
        width, height = image.size
        orientation = int(image.getexif().get(0x0112, 1))
    return engine.render(Job([photo], kind, width, height, orientation, scene_id), _quiet, lambda: False)


def _quiet(step: str, fraction: float) -> None:
    pass


def sheet(pictures: Sequence[tuple[Scene, Sequence[Picture]]], columns: int) -> Image.Image:
    """Scenes in rows of ``columns`` pictures (all photos of one scene side by side), each scene with its title."""
    wide, high = CELL
    across = max(1, columns // max(1, len(pictures[0][1])))  # scenes in one row
    block = len(pictures[0][1]) * (wide + GAP)
    rows = -(-len(pictures) // across)
    out = Image.new("RGB", (across * (block + GAP) + GAP, rows * (high + LINE + GAP) + GAP), GROUND)
    draw = ImageDraw.Draw(out)
    for at, (scene, made) in enumerate(pictures):
        left, top = GAP + (at % across) * (block + GAP), GAP + (at // across) * (high + LINE + GAP)
        for index, picture in enumerate(made):
            tile = Image.open(io.BytesIO(picture.data))
            tile.thumbnail(CELL, Image.Resampling.LANCZOS)
            x = left + index * (wide + GAP) + (wide - tile.width) // 2
            out.paste(tile, (x, top + (high - tile.height) // 2))
        label = f"{scene.title['en']}  ·  {scene.kind}"
        draw.text((left + 2, top + high + 6), label, INK, font=fonts.face("serif", 18))
    return out


def strip(photo: bytes, pictures: Sequence[Picture]) -> Image.Image:
    """The photo, an arrow, and what became of it: one row, for a README."""
    high = 460
    tiles = [Image.open(io.BytesIO(data)).convert("RGB") for data in (photo, *(picture.data for picture in pictures))]
    tiles = [tile.resize((round(tile.width * high / tile.height), high), Image.Resampling.LANCZOS) for tile in tiles]
    arrow = 70
    out = Image.new("RGB", (sum(tile.width + GAP for tile in tiles) + arrow + GAP, high + 2 * GAP), GROUND)
    draw = ImageDraw.Draw(out)
    x = GAP
    for at, tile in enumerate(tiles):
        out.paste(tile, (x, GAP))
        x += tile.width + GAP
        if at == 0:
            middle = GAP + high // 2
            draw.line([(x + 4, middle), (x + arrow - 26, middle)], INK, 4)
            draw.polygon([(x + arrow - 28, middle - 11), (x + arrow - 10, middle), (x + arrow - 28, middle + 11)], INK)
            x += arrow
    return out


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(90, 40, -4):
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= MOST_BYTES:
            break
    path.write_bytes(out.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.render.contact_sheet", description=__doc__)
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--scenes", default="", help="ids with commas between; all when empty")
    parser.add_argument("--strip", action="store_true", help="the first photo and its pictures in one row")
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--kinds", default="", help="kinds with commas between; all when empty")
    parser.add_argument("--side", type=int, default=SIDE_PX, help="px, longer side of a picture")
    args = parser.parse_args()
    kinds = args.kinds.split(",") if args.kinds else KINDS
    if not set(kinds) <= set(KINDS):
        parser.error(f"--kinds: must be of {', '.join(KINDS)}")
    try:
        catalogue = Catalogue.load()
        engine = OnnxEngine(model_dir=models.default_dir(), catalogue=catalogue, intra_op_threads=2, side=args.side)
        engine.start()
        wanted = [catalogue.get(name) for name in args.scenes.split(",") if name] or catalogue.scenes()
        wanted = [scene for scene in wanted if scene.kind in kinds]
        photos = [path.read_bytes() for path in args.photos or [sample()]]
        made = [(scene, [render(engine, scene.id, photo) for photo in photos]) for scene in wanted]
    except (ConfigError, MeshError, OSError) as error:
        parser.exit(78, f"{error}\n")
    drawn = strip(photos[0], [pictures[0] for _, pictures in made]) if args.strip else sheet(made, args.columns)
    save(drawn, args.output)
    sys.stdout.write(f"{args.output}\n")


if __name__ == "__main__":
    main()
