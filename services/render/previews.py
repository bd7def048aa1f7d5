"""Draws the scenes' previews: the drawn child in each scene, as ``preview.jpg`` in the scene's folder.

``python -m services.render.previews [FOLDER] [--scenes a,b]``: without a folder, those of the built-in scenes that are
not up to date. A tool for people who work on scenes; no service imports it.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from pathlib import Path

from PIL import Image

from mesh.errors import ConfigError
from services.render import models
from services.render.catalogue import BUILTIN, Catalogue
from services.render.drawn_child import at_home
from services.render.engines.onnx import OnnxEngine
from services.render.picture import Job
from services.render.scene import Scene

SIDE = 240  # px, longer
MADE_AT = 640  # px; what is made smaller from the beginning has broader strokes than the picture will have
MOST_BYTES = 12 << 10
_NOTE = re.compile(rb"recipe ([0-9a-f]{16})")


def draw(engine: OnnxEngine, scene: Scene) -> bytes:
    """A JPEG whose comment names the recipe that it was made by."""
    photo = io.BytesIO()
    subject = at_home(480, 600)
    subject.save(photo, "PNG")
    job = Job([photo.getvalue()], "png", *subject.size, 1, scene.id)
    picture = engine.render(job, lambda step, fraction: None, lambda: False)
    with Image.open(io.BytesIO(picture.data)) as image:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        for quality in range(88, 30, -6):
            out = io.BytesIO()
            image.save(out, "JPEG", quality=quality, optimize=True, comment=f"recipe {scene.source[:16]}")
            if out.tell() <= MOST_BYTES:
                break
    return out.getvalue()


def is_of(scene: Scene) -> bool:
    """Whether the scene has a preview that was made by its recipe as it stands. Code that has changed isn't noticed."""
    found = _NOTE.search(scene.preview.data) if scene.preview else None
    return found is not None and found.group(1).decode() == scene.source[:16]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.render.previews", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="a deployment's own folder of scenes")
    parser.add_argument("--scenes", default="", help="ids with commas between; drawn although they seem up to date")
    parser.add_argument("--all", action="store_true", help="draw all of them")
    args = parser.parse_args()
    try:
        catalogue = Catalogue.load(own=args.folder)
        named = {catalogue.get(name).id for name in args.scenes.split(",") if name}
        folder = args.folder or BUILTIN
        scenes = [scene for scene in catalogue.scenes() if (folder / scene.id).is_dir()]
        wanted = [s for s in scenes if args.all or (s.id in named if named else not is_of(s))]
        engine = OnnxEngine(model_dir=models.default_dir(), catalogue=catalogue, intra_op_threads=2, side=MADE_AT)
        if wanted:
            engine.start()
        for scene in wanted:
            target = folder / scene.id / "preview.jpg"
            target.write_bytes(draw(engine, scene))
            sys.stdout.write(f"{target}\n")
    except (ConfigError, OSError) as error:
        parser.exit(78, f"{error}\n")


if __name__ == "__main__":
    main()
