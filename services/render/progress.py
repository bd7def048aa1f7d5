"""Progress for a reader who may be slower than the work: only the newest state is kept."""

from __future__ import annotations

import asyncio


class Board:
    """Written by ``tell``, read by ``changes``."""

    def __init__(self) -> None:
        self._state: tuple[str, float] = ("", 0.0)
        self._changed = asyncio.Event()

    def tell(self, step: str, fraction: float) -> None:
        """Step ("" while queued), and a fraction that never falls."""
        self._state = (step, max(fraction, self._state[1]))
        self._changed.set()

    async def next(self) -> tuple[str, float]:
        """Waits for a change; returns the newest state."""
        await self._changed.wait()
        self._changed.clear()
        return self._state
