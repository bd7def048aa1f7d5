"""What a layer is: a painter with typed parameters, bound at load like a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from services.render.steps import params
from services.render.steps.layers.board import Board

P = TypeVar("P")
Paint = Callable[[Board, np.random.Generator], None]


@dataclass(frozen=True, slots=True)
class Layer(Generic[P]):
    Params: Callable[..., P]
    paint: Callable[[Board, P, np.random.Generator], None]

    def bind(self, table: Mapping[str, object]) -> Paint:
        bound = params.bind(self.Params, table)
        paint = self.paint
        return lambda board, rng: paint(board, bound, rng)
