"""Background tasks that nobody forgets: kept referenced, logged when they fail, cancelled at the stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from mesh.errors import MeshError
from mesh.log import error_at, get_logger

_log = get_logger()


class Tasks:
    """A set of running tasks."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts ``work``; the task lives until it is done, whoever looks away."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        # A typed error is an answer to somebody, who may have gone; anything else is a bug.
        if error is not None and not isinstance(error, MeshError):
            _log.error("task_failed", error_type=type(error).__name__, error_at=error_at(error))

    async def wait(self, seconds: float) -> bool:
        """Waits for all tasks, also for those that they spawn meanwhile; False if some still run after ``seconds``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._running and (left := deadline - loop.time()) > 0:
            await asyncio.wait(set(self._running), timeout=left)
        return not self._running

    async def wait_for_those(self, seconds: float) -> None:
        """Waits for the tasks that run now, not for those that come meanwhile; at most ``seconds``."""
        if running := set(self._running):
            await asyncio.wait(running, timeout=seconds)

    async def cancel(self) -> None:
        """Cancels what runs, and waits for it."""
        running = set(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=5)


async def outlast(work: asyncio.Future[Any]) -> None:
    """Waits until ``work`` is over, however often the waiter itself is cancelled meanwhile.

    For work that holds something until it has really stopped. A cancellation that arrived is raised at the end;
    what ``work`` returned or raised is not.
    """
    interrupted = False
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            interrupted = True
    if not work.cancelled():
        work.exception()
    if interrupted:
        raise asyncio.CancelledError


async def finish(work: asyncio.Future[Any]) -> None:
    """Cancels ``work`` and outlasts it."""
    work.cancel()
    await outlast(work)
