"""Puts the invisible mark into the finished pixels: the last step before they become a file."""

from __future__ import annotations

from dataclasses import dataclass

from services.render.steps.step import Step
from services.render.steps.workspace import Tools, Workspace


@dataclass(frozen=True, slots=True)
class Params:
    """Nothing to choose: the mark is the same in every scene."""


def run(ws: Workspace, params: Params, tools: Tools) -> None:
    ws.picture = tools.watermark(ws.need_picture())


STEP = Step(Params, run, cost=0.2)
