"""Faces stay recognisable, and pictures stay what they were: measured with the real networks, for every scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import matplotlib
import pytest

from services.render import models
from services.render.catalogue import Catalogue
from services.render.engines.onnx import OnnxEngine
from services.render.likeness import BOUNDS, Measured, measure
from services.render.previews import is_of
from services.render.steps.workspace import Face
from tests.scene_subjects import job
from tests.unit.services.render import goldens

CATALOGUE = Catalogue.load()
SCENES = [scene.id for scene in CATALOGUE.scenes()]
PORTRAIT = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
HOPPER = Face(0.49, 0.36, 0.17, 0.20)  # by hand, shares of the photo


@pytest.fixture(scope="module")
def engine() -> Iterator[OnnxEngine]:
    made = OnnxEngine(model_dir=models.default_dir(), catalogue=CATALOGUE, intra_op_threads=2, side=goldens.SIDE)
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def pair(engine: OnnxEngine) -> Callable[[str], Measured]:
    """The two drawn children in a scene: made once for all tests of this file."""
    return cache(lambda scene_id: goldens.measured(CATALOGUE.get(scene_id), engine.tools))


@pytest.mark.parametrize("scene_id", SCENES)
def test_a_real_face_stays_recognisable(engine: OnnxEngine, scene_id: str) -> None:
    scene = CATALOGUE.get(scene_id)
    side = goldens.SIDE if scene.kind == "milestone" else 2 * goldens.SIDE
    found = measure(scene, job(PORTRAIT.read_bytes(), scene_id), [HOPPER], engine.tools, side)
    assert found.likeness[0] >= BOUNDS[scene.kind]


@pytest.mark.parametrize("scene_id", SCENES)
def test_each_of_two_faces_stays_recognisable(pair: Callable[[str], Measured], scene_id: str) -> None:
    for likeness in pair(scene_id).likeness:
        assert likeness >= BOUNDS[CATALOGUE.get(scene_id).kind]


@pytest.mark.parametrize("scene_id", SCENES)
def test_a_picture_is_the_golden_one(pair: Callable[[str], Measured], scene_id: str) -> None:
    found = goldens.difference(goldens.small(pair(scene_id).picture), goldens.kept(scene_id))
    assert found.is_none, f"{found}; if it is meant: python -m tests.unit.services.render.goldens {scene_id}"


@pytest.mark.parametrize("scene_id", SCENES)
def test_a_preview_is_of_its_scene(scene_id: str) -> None:
    assert is_of(CATALOGUE.get(scene_id)), "python -m services.render.previews"
