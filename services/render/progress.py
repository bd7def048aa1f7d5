"""Progress for a reader who may be slower than the work: only the newest state is kept."""

from __future__ import annotations

import asyncio


class Board:
    """Written by ``tell`` until ``close``, read by ``next``."""

    def __init__(self) -> None:
        self._state: tuple[str, float] = ("", 0.0)
        self._changed = asyncio.Event()
        self._news = False
        self._closed = False

    def tell(self, step: str, fraction: float) -> None:
        """Step ("" while queued), and a fraction that never falls."""
        self._state = (step, max(fraction, self._state[1]))
        self._news = True
        self._changed.set()

    def close(self) -> None:
        """Nothing more will be told; whoever reads gets what is new, and then the end."""
        self._closed = True
        self._changed.set()

    async def next(self) -> tuple[str, float] | None:
        """Waits for a change; returns the newest state, or None at the end."""
        await self._changed.wait()
        if not self._news:
            return None
        self._news = False
        if not self._closed:
            self._changed.clear()
        return self._state
