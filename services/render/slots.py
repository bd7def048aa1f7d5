"""Engine slots: so many pictures at a time, so many photos waiting, and no photo let go of while a thread has it."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mesh.errors import Exhausted, Internal, MeshError
from mesh.log import error_at, get_logger
from mesh.tasks import outlast
from services.render.engines.base import Engine
from services.render.metrics import RenderMetrics
from services.render.picture import Job, Picture, Progress

_log = get_logger()

Tell = Callable[[str, float], None]
"""Step ("" while queued) and fraction; called on the event loop."""


class Slots:
    """A component: the engine behind a bounded pool of threads."""

    def __init__(self, engine: Engine, *, slots: int, queue: int, metrics: RenderMetrics) -> None:
        self._engine = engine
        self._queue = queue
        self._metrics = metrics
        self._free = asyncio.Semaphore(slots)
        self._waiting = 0
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="render")
        self.ready = False
        metrics.slots.set(slots)

    async def start(self) -> None:
        """Loads and warms the engine, off the event loop."""
        await asyncio.get_running_loop().run_in_executor(self._pool, self._engine.start)
        self.ready = True

    async def stop(self) -> None:
        self.ready = False
        # Elsewhere: what ends the renders that still run needs the event loop.
        await asyncio.to_thread(self._pool.shutdown)
        self._engine.close()

    async def render(self, job: Job, scene_kind: str, tell: Tell) -> Picture:
        """Makes the picture. Cancelling it returns only when no thread has the photo any more.

        Raises Exhausted(RENDER_QUEUE_FULL), what the engine raises, and Internal(RENDER_FAILED) for its bugs.
        """
        await self._take_slot(tell)
        self._metrics.used.inc()
        began = time.perf_counter()
        try:
            return await self._in_thread(job, tell)
        except MeshError as error:
            self._metrics.failed.labels(error.reason).inc()
            raise
        finally:
            self._metrics.used.dec()
            self._metrics.seconds.labels(scene_kind).observe(time.perf_counter() - began)
            self._free.release()

    async def _take_slot(self, tell: Tell) -> None:
        if self._free.locked() and self._waiting >= self._queue:
            raise Exhausted("RENDER_QUEUE_FULL", "All engines are busy; try again shortly.", retry_after=5.0)
        self._waiting += 1
        self._metrics.queued.inc()
        try:
            if self._free.locked():
                tell("", 0.0)
            await self._free.acquire()
        finally:
            self._waiting -= 1
            self._metrics.queued.dec()

    async def _in_thread(self, job: Job, tell: Tell) -> Picture:
        loop = asyncio.get_running_loop()
        cancelled = threading.Event()
        timer = _StepTimer(self._metrics)

        def progress(step: str, fraction: float) -> None:
            timer.step(step)
            loop.call_soon_threadsafe(tell, step, fraction)

        running = loop.run_in_executor(self._pool, _run, self._engine, job, progress, cancelled)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            cancelled.set()
            # A thread can't be interrupted within a step; until it ends, it has the photo.
            await outlast(running)
            raise


def _run(engine: Engine, job: Job, progress: Progress, cancelled: threading.Event) -> Picture:
    try:
        return engine.render(job, progress, cancelled.is_set)
    except MeshError as error:
        traceback.clear_frames(error.__traceback__)
        raise
    except Exception as error:
        _log.error("render_failed", error_type=type(error).__name__, error_at=error_at(error))
        traceback.clear_frames(error.__traceback__)
    raise Internal("RENDER_FAILED", "The picture could not be made; the photo has been deleted. Try another photo.")


class _StepTimer:
    """Observes how long each step took: from its announcement to the next one's."""

    def __init__(self, metrics: RenderMetrics) -> None:
        self._metrics = metrics
        self._step, self._began = "", time.perf_counter()

    def step(self, name: str) -> None:
        now = time.perf_counter()
        if self._step:
            self._metrics.step_seconds.labels(self._step).observe(now - self._began)
        self._step, self._began = name, now
