"""Gives the face back after paint: its own detail, in the painting's broad colours.

Paint is laid without regard to what it covers; a likeness is what it may not cost. So what the painting moved on a
large scale (its light, its palette) stays, and what makes a face this face comes back from before the paint.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.render.steps.face import ellipse
from services.render.steps.params import number
from services.render.steps.pixels import Array, blur, clip, mix, resize, smoothstep
from services.render.steps.step import Step
from services.render.steps.workspace import Face, RecipeOrder, Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    keep: float = number(0.8, 0, 1)  # the share of the face's own detail that comes back
    palette: float = number(1.0, 0, 1)  # the share of the painting's broad colours that stays
    broad: float = number(0.35, 0.05, 2)  # what counts as broad, in the face's radii
    soft: float = number(0.5, 0.05, 1)  # over how much of its radius the face passes into paint


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    if ws.likeness is None:
        raise RecipeOrder("likeness")
    painted = ws.layer if ws.layer is not None else ws.need_picture()
    height, width = painted.shape[:2]
    face = ws.need_face()
    mask = ellipse(face, height, width, params.soft) * params.keep
    if ws.layer is None:
        mask = mask * smoothstep(0.1, 0.9, resize(ws.need_alpha(), width, height))
    out = painted.copy()
    for head in (face, *face.others):
        _give_back(head, out, painted, ws.likeness, mask, params)
    if ws.layer is not None:
        ws.layer = out
    else:
        ws.picture = out


def _give_back(head: Face, out: Array, painted: Array, likeness: Array, mask: Array, params: Params) -> None:
    height, width = painted.shape[:2]
    reach = 1 + params.soft
    rows = slice(max(0, int(head.y - reach * head.ry)), max(0, min(height, int(head.y + reach * head.ry) + 2)))
    columns = slice(max(0, int(head.x - reach * head.rx)), max(0, min(width, int(head.x + reach * head.rx) + 2)))
    part, own = painted[rows, columns], likeness[rows, columns]
    if min(part.shape[:2]) < 4:
        return  # the face lies outside of the canvas
    sigma = max(1.0, params.broad * min(head.rx, head.ry))
    own = own + (blur(part, sigma) - blur(own, sigma)) * params.palette
    out[rows, columns] = clip(mix(out[rows, columns], own, mask[rows, columns]))


STEP = Step(Params, run, cost=0.2)
