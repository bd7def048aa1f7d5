"""Waiting for one of several things, by the clock that is a parameter."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from mesh.clock import Clock


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Until one of them is done; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def is_done_within(task: asyncio.Future[Any], seconds: float, clock: Clock) -> bool:
    """Whether ``task`` is done after at most ``seconds``; it goes on if not, and if the caller is cancelled."""
    await first_of(asyncio.wait({task}), clock.sleep(seconds))
    return task.done()
