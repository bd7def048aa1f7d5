"""The first and the last piece of something that passes, as two events."""

from __future__ import annotations

import time

from mesh.tracing import spans


class Marks:
    """what: ``photo``, ``picture``; the events are ``…_first_byte`` and ``…_last_byte``."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last: int | None = None

    def piece(self) -> None:
        """A piece has passed."""
        if not spans.is_on():
            return
        first, self._last = self._last is None, time.time_ns()
        if first:
            spans.event(f"{self._what}_first_byte", at=self._last)

    def end(self) -> None:
        """There will be no more; only now is it known which was the last."""
        if self._last is not None:
            spans.event(f"{self._what}_last_byte", at=self._last)
