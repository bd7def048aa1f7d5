"""The app's end of a Render call. Phones go away: every read and write here ends at once when this one has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from mesh import streams
from mesh.context import ServerContext
from mesh.errors import Cancelled


class ClientGone(Cancelled):
    """The client hung up."""

    def __init__(self) -> None:
        super().__init__("CLIENT_GONE", "The client hung up.")


class Client:
    """Reads and writes raw messages of one call."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._gone = asyncio.Event()
        self._writing = asyncio.Lock()
        context.add_done_callback(self._done)  # type: ignore[arg-type] # the stubs want a class where any callable does

    def _done(self, _context: object) -> None:
        self._gone.set()

    @property
    def is_gone(self) -> bool:
        """Whether nothing can be read or written any more."""
        return self._gone.is_set()

    def hang_up(self) -> None:
        """The call is over; whoever reads or writes hears of it."""
        self._gone.set()

    async def read(self) -> bytes | None:
        """The next message; None when the client has half-closed. ClientGone."""
        message = await self._unless_gone(lambda: streams.read(self._context.read()))
        return message if isinstance(message, bytes) else None

    async def write(self, message: bytes) -> None:
        """Waits for the client to take it (back-pressure). ClientGone."""
        async with self._writing:  # gRPC fails the second of two writes at a time
            await self._unless_gone(lambda: self._context.write(message))

    async def _unless_gone(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        if self._gone.is_set():
            raise ClientGone
        work = asyncio.ensure_future(operation())
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            # What gRPC raises on a call that is over depends on the moment; that it is over is all that matters.
            if not work.done() or work.cancelled() or work.exception() is not None:
                self._gone.set()
                raise ClientGone
            return work.result()
        finally:
            gone.cancel()
            work.cancel()
