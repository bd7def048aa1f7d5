"""Running a recipe: progress, cancellation between steps, order."""

from __future__ import annotations

import pytest

from mesh import errors
from services.render import recipe
from services.render.steps.step import Bound
from services.render.steps.workspace import RecipeOrder, Tools, Workspace
from tests.scene_subjects import child, job, saved, tools, workspace


def _step(name: str, seen: list[str], cost: float = 1.0) -> Bound:
    def run(ws: Workspace, lent: Tools) -> None:
        seen.append(name)

    return Bound(name, cost, run, None)


MIDDLE = tuple(recipe.STEPS[name].bind(name, {}) for name in ("cut_out", "tone", "detail", "finish"))


def test_progress_rises_from_0_and_ends_at_1_in_closed_words() -> None:
    told: list[tuple[str, float]] = []
    ws = workspace(job(saved(child())))
    recipe.run(recipe.complete(MIDDLE), ws, tools(), lambda step, at: told.append((step, at)), lambda: False)
    fractions = [at for _, at in told]
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)
    assert {step for step, _ in told} <= set(recipe.STEPS)


@pytest.mark.parametrize("after", range(5))
def test_cancelling_stops_before_the_next_step(after: int) -> None:
    seen: list[str] = []
    steps = tuple(_step(name, seen) for name in "abcd")
    with pytest.raises(errors.Cancelled):
        recipe.run(steps, workspace(job(b"")), tools(), lambda step, at: None, lambda: len(seen) >= after)
    assert seen == list("abcd")[:after]


def test_cancelling_during_the_last_step_gives_no_picture() -> None:
    ws = workspace(job(saved(child())))
    told: list[float] = []
    with pytest.raises(errors.Cancelled):
        recipe.run(
            recipe.complete(MIDDLE), ws, tools(), lambda step, at: told.append(at), lambda: ws.result is not None
        )
    assert told[-1] < 1.0


def test_a_recipe_that_makes_no_picture_is_a_mistake() -> None:
    with pytest.raises(RecipeOrder):
        recipe.run((_step("a", []),), workspace(job(b"")), tools(), lambda step, at: None, lambda: False)
