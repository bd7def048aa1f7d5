"""Which of a recipe's steps stay when a diffusion model makes the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mesh.errors import ConfigError
from services.render import recipe
from services.render.catalogue import Catalogue
from services.render.engines.diffusers import canvas, plan
from services.render.scene import Diffusion, Scene
from services.render.steps import backdrop
from services.render.steps.step import Bound
from tests.scene_subjects import child, job, outline, saved, workspace

CATALOGUE = Catalogue.load()
MADE = [scene for scene in CATALOGUE.scenes() if scene.diffusion is not None]


def test_every_step_is_known_to_stay_or_to_go() -> None:
    assert set(recipe.STEPS) == plan.KEPT | plan.REPLACED, "a new step belongs into one of plan's two sets"
    assert not plan.KEPT & plan.REPLACED


@pytest.mark.parametrize("scene", MADE, ids=lambda scene: scene.id)
def test_the_model_stands_where_the_scene_was_painted(scene: Scene) -> None:
    planned = plan.of(scene)
    names = [step.name for step in planned.recipe(lambda ws, tools: None)]
    assert names[:2] == ["decode", "orient"]
    assert [name for name in names if name in ("finish", "watermark", "encode")] == ["finish", "watermark", "encode"]
    assert names.count(plan.DIFFUSE) == 1
    assert not set(names) & plan.REPLACED
    around = planned.asked.mode == "around"
    assert [name for name in names if name in (canvas.NAME, "place")] == ([canvas.NAME, "place"] if around else [])
    assert names.index("face") < names.index(plan.DIFFUSE)
    if scene.captions:
        assert names.index(plan.DIFFUSE) < names.index("caption")
    fractions = [planned.fraction(share) for share in (0.0, 0.5, 1.0)]
    assert 0 < fractions[0] < fractions[1] < fractions[2] < 1


def _steps(*names: str) -> tuple[Bound, ...]:
    return tuple(recipe.STEPS[name].bind(name, {}) for name in names)


@pytest.mark.parametrize(
    ("mode", "steps"),
    [
        ("around", ("cut_out", "refine", "face", "oils")),
        ("around", ("cut_out", "refine", "face", "backdrop", "compose", "place")),
        ("whole", ("cut_out", "tone", "finish")),
    ],
)
def test_a_scene_in_which_it_has_no_place_stops_the_start(mode: str, steps: tuple[str, ...]) -> None:
    asked = Diffusion("a soft gouache world", "text", mode=mode)
    odd = replace(MADE[0], id="odd", diffusion=asked, recipe=recipe.complete(_steps(*steps)))
    with pytest.raises(ConfigError, match="scene odd: "):
        plan.of(odd)


def test_the_canvas_has_the_backdrop_s_size_and_the_light_s_colours() -> None:
    params = backdrop.Params(light=(0.75, 0.25), light_color=(1.0, 0.9, 0.6), ambient=(0.2, 0.3, 0.5))
    ws = workspace(job(saved(child())), side=100)
    ws.alpha = outline(60, 80)
    canvas.run(ws, params)
    picture = ws.need_picture()
    assert picture.shape == (100, 80, 3)
    assert np.allclose(picture[25, 60], params.light_color, atol=0.02)
    assert np.allclose(picture[99, 0], params.ambient, atol=0.05)
