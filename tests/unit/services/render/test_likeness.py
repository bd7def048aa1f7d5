"""Faces stay recognisable, and pictures stay what they were: measured with the real networks, for every scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from services.render import models
from services.render.catalogue import Catalogue
from services.render.engines.onnx import OnnxEngine
from services.render.engines.painted import PaintedStore
from services.render.likeness import BOUNDS, Measured, measure
from services.render.previews import is_of
from services.render.scene import Scene
from services.render.steps import detect
from services.render.steps.pixels import Array
from services.render.steps.workspace import Face, Tools, Workspace
from tests.scene_subjects import job
from tests.unit.services.render import goldens

CATALOGUE = Catalogue.load()
PORTRAIT = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
HOPPER = Face(0.514, 0.36, 0.17, 0.20)  # by hand, shares of the photo
DRAWN = 0.05
"""A drawing's even colours show each hair of a brush: so much less may be left of a drawn face."""


@pytest.fixture(scope="module")
def engine() -> Iterator[OnnxEngine]:
    made = OnnxEngine(model_dir=models.default_dir(), catalogue=CATALOGUE, intra_op_threads=2, side=goldens.SIDE)
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module", params=[scene.id for scene in CATALOGUE.scenes()])
def scene(request: pytest.FixtureRequest) -> Scene:
    """Of the module's scope, so that all tests of one scene run one after the other: its world is painted once."""
    return CATALOGUE.get(request.param)


@pytest.fixture(scope="module")
def siblings(engine: OnnxEngine, scene: Scene) -> Measured:
    """Two drawn children in the scene."""
    return goldens.measured(scene, engine.tools)


def test_a_real_face_stays_recognisable(engine: OnnxEngine, scene: Scene) -> None:
    side = goldens.SIDE if scene.kind == "milestone" else 2 * goldens.SIDE
    found = measure(scene, job(PORTRAIT.read_bytes(), scene.id), [HOPPER], engine.tools, side)
    assert found.likeness[0] >= BOUNDS[scene.kind]


def test_each_of_two_faces_stays_recognisable(siblings: Measured, scene: Scene) -> None:
    for likeness in siblings.likeness:
        assert likeness >= BOUNDS[scene.kind] - DRAWN


def test_a_picture_is_the_golden_one(siblings: Measured, scene: Scene) -> None:
    found, room = goldens.difference(goldens.small(siblings.picture), goldens.kept(scene.id)), goldens.room(scene.id)
    assert found.within(room), f"{found}, {room}; if it is meant: python -m tests.unit.services.render.goldens"


def test_a_golden_picture_s_room_lets_in_no_other(scene: Scene) -> None:
    kept, room = goldens.kept(scene.id), goldens.room(scene.id)
    assert room.within(goldens.Difference(*goldens.WIDEST))
    others = {other.id: goldens.kept(other.id) for other in CATALOGUE.scenes() if other.id != scene.id}
    for name, picture in (*others.items(), *(("flat", flat) for flat in goldens.flat(kept))):
        assert not goldens.difference(picture, kept).within(room), name


def test_a_preview_is_of_its_scene(scene: Scene) -> None:
    assert is_of(scene), "python -m services.render.previews"


def test_a_face_that_nobody_protects_is_not_recognisable(engine: OnnxEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = CATALOGUE.get("starry_oil")
    assert sorted(goldens.measured(scene, engine.tools).likeness)[0] > BOUNDS["portrait"] - DRAWN
    monkeypatch.setattr(detect, "MOST", 1)
    assert sorted(goldens.measured(scene, engine.tools).likeness)[0] < 0.7


def _nothing(ws: Workspace, tools: Tools) -> None:
    """But what later steps can't do without: the subject as it was before paint."""
    ws.likeness = ws.layer


@pytest.mark.parametrize(
    ("scene_id", "step"),
    [
        ("moonlit_hills", "tone"),
        ("moonlit_hills", "refine"),
        ("moonlit_hills", "unify"),
        ("moonlit_hills", "caption"),
        ("watercolour", "refine"),
        ("storybook_oil", "blend_face"),
        ("starry_oil", "finish"),
        ("pastel", "blend_face"),
        ("bright_day", "tone"),
    ],
)
def test_a_step_that_does_nothing_is_noticed(engine: OnnxEngine, scene_id: str, step: str) -> None:
    scene = CATALOGUE.get(scene_id)
    lame = replace(
        scene, recipe=tuple(replace(each, run=_nothing) if each.name == step else each for each in scene.recipe)
    )
    made = goldens.small(goldens.measured(lame, engine.tools).picture)
    assert not goldens.difference(made, goldens.kept(scene_id)).within(goldens.room(scene_id))


@pytest.mark.parametrize("scene_id", ["moonlit_hills", "pastel", "starry_oil", "storybook_oil"])
def test_networks_that_round_otherwise_are_not_noticed(engine: OnnxEngine, scene_id: str) -> None:
    """As other processors do, and far more so."""

    class Rounding:
        def __init__(self) -> None:
            self._rng = np.random.default_rng(2)
            self.faces = engine.tools.networks.faces

        def _about(self, out: Array) -> Array:
            return np.asarray(out + self._rng.normal(0, 1e-3, out.shape), np.float32)

        def cut_out(self, rgb: Array) -> Array:
            return self._about(engine.tools.networks.cut_out(rgb))

        def stylize(self, rgb: Array, weights: tuple[float, ...]) -> Array:
            return np.clip(self._about(engine.tools.networks.stylize(rgb, weights)), 0, 1)

    tools = replace(engine.tools, networks=Rounding(), painted=PaintedStore())
    made = goldens.small(goldens.measured(CATALOGUE.get(scene_id), tools).picture)
    assert goldens.difference(made, goldens.kept(scene_id)).within(goldens.room(scene_id))
