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
_APART = 0.3
"""Seconds from one sweep to the next, at least."""
_QUIET = 5.0
"""Seconds without a release after which memory goes back to the kernel. It is overwritten already; giving it back makes
the process smaller, and the next photo dearer."""

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
            while await self._is_wanted_within(_QUIET):
                await self._clock.sleep(UNWINDING)
                self._wanted.clear()
                gc.collect()
                await asyncio.gather(*(rinse() for rinse in self._rinses))
                await self._clock.sleep(_APART)
            if self._trim is not None:
                self._trim(0)

    async def _is_wanted_within(self, seconds: float) -> bool:
        waiting = asyncio.ensure_future(self._wanted.wait())
        pause = asyncio.ensure_future(self._clock.sleep(seconds))
        await asyncio.wait({waiting, pause}, return_when=asyncio.FIRST_COMPLETED)
        for each in (waiting, pause):
            await finish(each)
        return self._wanted.is_set()
