"""A process that paints as render does, and stops to be looked at: in the midst of a picture, and once it is gone.

python -m tests.diffusers.painter WEIGHTS MANIFEST SCENE. Its input: a photo's length (four bytes) and bytes, then a
byte to go on from each stop. It writes a line at each: "midway", "gone".
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mesh.forgetting import environment

NEARLY_DONE = 15
"""Of the seventeen times that a watercolour's model tells how far it is."""


def main() -> None:
    if not os.environ.get("MAYFLY_TEST_RETENTIVE"):
        environment.ensure()
    from services.render import models
    from services.render.catalogue import Catalogue
    from services.render.engines.diffusers.engine import DiffusersEngine
    from services.render.engines.diffusers.pipeline import Weights
    from tests.engines.contract import SIDE
    from tests.scene_subjects import child, job, saved

    folder, manifest, scene = sys.argv[1:]
    engine = DiffusersEngine(
        weights=Weights(Path(folder), manifest), model_dir=models.default_dir(), catalogue=Catalogue.load(), side=SIDE
    )
    engine.start()
    photo = b"".join(pieces())
    stopped: list[str] = []

    def progress(step: str, at: float) -> None:
        if step == "diffuse":
            stopped.append(step)
            if len(stopped) == NEARLY_DONE:
                stop("midway")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(engine.render, job(saved(child()), scene), lambda step, at: None, lambda: False).result()
        pool.submit(engine.render, job(photo, scene), progress, lambda: False).result()
        del photo
        gc.collect()
        stop("gone")


def pieces() -> Iterator[bytes]:
    """Not by ``sys.stdin``, whose buffer would keep some of it."""
    left = int.from_bytes(os.read(0, 4), "big")
    while left:
        piece = os.read(0, left)
        left -= len(piece)
        yield piece


def stop(where: str) -> None:
    sys.stdout.write(f"{where}\n")
    sys.stdout.flush()
    os.read(0, 1)


if __name__ == "__main__":
    main()
