"""What a step is: a function over the workspace, its typed parameters, and roughly what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.render.steps import params
from services.render.steps.workspace import Tools, Workspace

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Bound:
    """A step with its parameters, ready to run. ``cost``: its share of a picture's time, for progress only."""

    name: str
    cost: float
    run: Callable[[Workspace, Tools], None]
    params: object


@dataclass(frozen=True, slots=True)
class Step(Generic[P]):
    """``Params`` is a frozen dataclass of fields from ``params``; ``run`` changes the workspace."""

    Params: Callable[..., P]
    run: Callable[[Workspace, P, Tools], None]
    cost: float

    def bind(self, name: str, table: Mapping[str, object]) -> Bound:
        """Raises ``ParamError`` naming the field."""
        bound = params.bind(self.Params, table)
        run = self.run
        return Bound(name, self.cost, lambda ws, tools: run(ws, bound, tools), bound)
