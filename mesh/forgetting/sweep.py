"""After each photo: what only a collection frees, what connections keep, what the allocator could give back."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Awaitable, Callable, Sequence

from mesh.clock import Clock
from mesh.tasks import finish

UNWINDING = 0.1
"""Seconds between a release and the sweep: calls and their tracebacks come apart meanwhile, and photos that end at the
same time share a sweep."""
_QUIET = 0.3
"""Seconds without a release after which memory goes back to the kernel."""

Rinse = Callable[[], Awaitable[object]]


class Sweep:
    """A component. ``soon`` is called at each release. rinses: one for each connection that photos pass over."""

    def __init__(self, clock: Clock, rinses: Sequence[Rinse] = ()) -> None:
        self._clock = clock
        self._rinses = rinses
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's only

    def soon(self) -> None:
        """A photo has gone."""
        self._wanted.set()

    async def start(self) -> None:
        gc.collect()
        gc.freeze()  # a collection then costs what has been made since, a millisecond instead of thirty
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            await finish(self._task)

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            while self._wanted.is_set():
                await self._clock.sleep(UNWINDING)
                self._wanted.clear()
                gc.collect()
                await asyncio.gather(*(rinse() for rinse in self._rinses))
                await self._clock.sleep(_QUIET)
            if self._trim is not None:
                self._trim(0)
