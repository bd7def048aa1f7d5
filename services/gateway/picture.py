"""Render's picture, frame by frame, and again from the start: render holds it, the gateway doesn't."""

from __future__ import annotations

from mesh import frames
from services.gateway import messages
from services.gateway.hop import Hop


class Picture:
    """A cursor over the frames from the header to the seal."""

    def __init__(self, render: Hop, first: bytes) -> None:
        self._render = render
        self._first: bytes | None = first
        self._at_end = False

    async def next(self) -> bytes | None:
        """The next frame; None after the seal."""
        if self._at_end:
            return None
        frame, self._first = self._first or await self._render.read_frame(), None
        self._at_end = frames.sole_field(frame)[0] == frames.SEAL
        return frame

    async def rewind(self) -> None:
        """Back to the header, wherever the cursor is. Nothing to do if it hasn't moved."""
        if self._first is not None:
            return
        while await self.next() is not None:
            pass
        await self._render.write(messages.REPLAY)
        self._at_end = False
