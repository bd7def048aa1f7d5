"""Progress for a reader who may be slower than the work: only the newest state is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class State:
    """How far a picture has come.

    step:     a recipe's step; "" while the photo waits.
    fraction: of the work, 0..1.
    position: in the queue, 1 is next; 0 once a slot is taken.
    seconds:  until the picture can be expected; None: nothing of its kind was made yet.
    """

    step: str = ""
    fraction: float = 0.0
    position: int = 0
    seconds: float | None = None


Tell = Callable[[State], None]
"""Called on the event loop."""


class Board:
    """Written by ``tell`` until ``close``, read by ``next``."""

    def __init__(self) -> None:
        self._state = State()
        self._changed = asyncio.Event()
        self._news = False
        self._closed = False

    def tell(self, state: State) -> None:
        """What is told of the fraction never falls."""
        self._state = replace(state, fraction=max(state.fraction, self._state.fraction))
        self._news = True
        self._changed.set()

    def close(self) -> None:
        """Nothing more will be told; whoever reads gets what is new, and then the end."""
        self._closed = True
        self._changed.set()

    async def next(self) -> State | None:
        """Waits for a change; returns the newest state, or None at the end."""
        await self._changed.wait()
        if not self._news:
            return None
        self._news = False
        if not self._closed:
            self._changed.clear()
        return self._state
