"""After each photo: what only a collection frees, what connections keep, what the allocator could give back."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Awaitable, Callable, Sequence

from mesh.clock import Clock
from mesh.log import error_at, get_logger
from mesh.metrics import MeshMetrics
from mesh.tasks import finish

_log = get_logger()
UNWINDING = 0.1
"""Seconds between a release and the sweep: calls and their tracebacks come apart meanwhile, and photos that end at the
same time share a sweep."""
_APART = 0.3
"""Seconds from one sweep to the next, at least."""
_QUIET = 5.0
"""Seconds without a release after which memory goes back to the kernel. It is overwritten already; giving it back makes
the process smaller, and the next photo dearer."""

Rinse = Callable[[], Awaitable[bool]]
"""False: something may be left, try again."""


class Sweep:
    """A component. ``soon`` is called at each release. rinses: one for each connection that photos pass over."""

    def __init__(self, clock: Clock, metrics: MeshMetrics, service: str, rinses: Sequence[Rinse] = ()) -> None:
        self._clock = clock
        self._rinses = rinses
        self._wanted = asyncio.Event()
        self._since: float | None = None  # nothing has been swept after a photo that went then
        self._meanwhile: float | None = None  # the first one that went during a sweep
        self._sweeping = False
        self._task: asyncio.Task[None] | None = None
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's only
        self._swept, self._failed = (metrics.sweeps.labels(service, outcome) for outcome in ("swept", "failed"))
        metrics.unswept.labels(service).set_function(self._unswept)

    def soon(self) -> None:
        """A photo has gone."""
        if self._since is None:
            self._since = self._clock.monotonic()
        elif self._sweeping and self._meanwhile is None:
            self._meanwhile = self._clock.monotonic()
        self._wanted.set()

    async def start(self) -> None:
        gc.collect()
        gc.freeze()  # a collection then costs what has been made since, a millisecond instead of a hundred
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            await finish(self._task)

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            while await self._is_wanted_within(_QUIET):
                await self._clock.sleep(UNWINDING)
                await self._sweep()
                await self._clock.sleep(_APART)
            if self._trim is not None:
                self._trim(0)

    async def _sweep(self) -> None:
        """Whatever goes wrong, it is tried again: a sweep that has ended for good would be noticed by nobody."""
        self._wanted.clear()
        self._sweeping = True
        gc.collect()
        done = False
        try:
            done = all(await asyncio.gather(*(rinse() for rinse in self._rinses)))
        except Exception as error:
            _log.error("sweep_failed", error_type=type(error).__name__, error_at=error_at(error))
        meanwhile, self._meanwhile, self._sweeping = self._meanwhile, None, False
        if done:
            self._since = meanwhile
            self._swept.inc()
            return
        # The oldest is still unswept, also while its sweep goes on: a peer that hangs takes a second each time.
        self._failed.inc()
        self._wanted.set()

    def _unswept(self) -> float:
        return self._clock.monotonic() - self._since if self._since is not None else 0.0

    async def _is_wanted_within(self, seconds: float) -> bool:
        waiting = asyncio.ensure_future(self._wanted.wait())
        pause = asyncio.ensure_future(self._clock.sleep(seconds))
        await asyncio.wait({waiting, pause}, return_when=asyncio.FIRST_COMPLETED)
        for each in (waiting, pause):
            await finish(each)
        return self._wanted.is_set()
