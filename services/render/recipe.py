"""The pipeline: which steps there are, and how a recipe (an ordered tuple of them) is run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

from mesh import errors
from mesh.tracing import spans
from services.render.picture import Cancelled, Job, Picture, Progress
from services.render.steps import (
    backdrop,
    blend_face,
    caption,
    compose,
    cut_out,
    decode,
    detail,
    encode,
    face,
    finish,
    frame,
    light,
    linocut,
    mend,
    oils,
    orient,
    outpaint,
    pastel,
    pencil,
    place,
    refine,
    shadow,
    soft_background,
    tone,
    unfade,
    unify,
    watercolour,
    watermark,
    white_balance,
)
from services.render.steps.step import Bound, Step
from services.render.steps.workspace import RecipeOrder, Tools, Workspace

Recipe = tuple[Bound, ...]

STEPS: Mapping[str, Step[object]] = MappingProxyType(
    {
        module.__name__.rpartition(".")[2]: module.STEP
        for module in (
            backdrop,
            blend_face,
            caption,
            compose,
            cut_out,
            decode,
            detail,
            encode,
            face,
            finish,
            frame,
            light,
            linocut,
            mend,
            oils,
            orient,
            outpaint,
            pastel,
            pencil,
            place,
            refine,
            shadow,
            soft_background,
            tone,
            unfade,
            unify,
            watercolour,
            watermark,
            white_balance,
        )
    }
)
"""Closed: a step's name is the name of its file, and the only words that a progress event uses."""

# Every recipe begins and ends so; a scene file says what lies between.
PROLOGUE = ("decode", "orient")
EPILOGUE = ("watermark", "encode")


def complete(middle: Recipe) -> Recipe:
    """A scene's own steps with what every render starts and ends with."""
    start = tuple(STEPS[name].bind(name, {}) for name in PROLOGUE)
    return (*start, *middle, *(STEPS[name].bind(name, {}) for name in EPILOGUE))


def run(recipe: Recipe, ws: Workspace, tools: Tools, progress: Progress, cancelled: Cancelled) -> Picture:
    """Run the steps in order. Raises Invalid (from a step); Cancelled and Overdue (between two)."""
    total = sum(step.cost for step in recipe)
    done = 0.0
    for step in recipe:
        go_on(ws.job, cancelled)
        progress(step.name, done / total)
        with spans.span(step.name):
            step.run(ws, tools)
        done += step.cost
    go_on(ws.job, cancelled)
    if ws.result is None:
        raise RecipeOrder("result")
    progress(recipe[-1].name, 1.0)
    return ws.result


def go_on(job: Job, cancelled: Cancelled) -> None:
    """Asked between two pieces of work. Raises Cancelled, or Overdue once the photo's lease has ended."""
    if cancelled():
        raise errors.Cancelled("RENDER_CANCELLED", "The render was taken back.")
    if time.monotonic() >= job.deadline:
        raise errors.Overdue("LEASE_EXPIRED", "The lease ended before the work did; try again.")
