"""Which steps of a scene's recipe stay when a diffusion model makes the picture, and where it comes in.

The photo is read, cut out and measured as ever, and words, frame and file are made as ever. What paints (the world, its
light on the subject, the joining of both; oils, watercolour) is the model's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mesh.errors import ConfigError
from services.render.engines.diffusers import canvas
from services.render.recipe import Recipe
from services.render.scene import Diffusion, Scene
from services.render.steps import backdrop
from services.render.steps.step import Bound
from services.render.steps.workspace import Tools, Workspace

KEPT = frozenset(
    {"decode", "orient", "cut_out", "tone", "detail", "refine", "face", "place", "caption", "finish", "encode"}
)
REPLACED = frozenset({"backdrop", "light", "unify", "compose", "oils", "watercolour", "soft_background"})
"""With ``KEPT``, all the steps that there are."""
DIFFUSE = "diffuse"
COST = 20.0  # of the model, in the unit of ``Step.cost``: a picture's time is mostly its


@dataclass(frozen=True, slots=True)
class Plan:
    """before: ends with everything in place for the model. after: begins with its picture."""

    asked: Diffusion
    before: Recipe
    after: Recipe

    def recipe(self, diffuse: Callable[[Workspace, Tools], None]) -> Recipe:
        return (*self.before, Bound(DIFFUSE, COST, diffuse, self.asked), *self.after)

    def fraction(self, share: float) -> float:
        """Of the whole picture's work, when that share of the model's is done."""
        done = sum(step.cost for step in self.before)
        return (done + COST * share) / (done + COST + sum(step.cost for step in self.after))


def of(scene: Scene) -> Plan:
    """Raises ConfigError for a scene that a model can't make as it says."""
    asked = scene.diffusion
    at = max((at for at, step in enumerate(scene.recipe) if step.name not in KEPT), default=None)
    if asked is None or at is None:
        raise ConfigError(f"scene {scene.id}: nothing in its recipe is what a diffusion model stands in for")
    if asked.mode == "around" and not {"backdrop", "place"} <= {step.name for step in scene.recipe[:at]}:
        raise ConfigError(f"scene {scene.id}: engines.diffusers.mode: around takes the steps backdrop and place")
    before = tuple(_kept(step) for step in scene.recipe[:at] if step.name in KEPT or step.name == "backdrop")
    return Plan(asked, before, scene.recipe[at + 1 :])


def _kept(step: Bound) -> Bound:
    params = step.params
    if not isinstance(params, backdrop.Params):
        return step
    return Bound(canvas.NAME, canvas.COST, lambda ws, tools: canvas.run(ws, params), params)
