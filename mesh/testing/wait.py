"""Waiting in tests for something that other processes or tasks bring about: by condition, never by a fixed time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mesh.clock import Clock, SystemClock

T = TypeVar("T")


async def eventually(
    condition: Callable[[], Awaitable[T] | T], *, within: float = 5.0, every: float = 0.005, clock: Clock | None = None
) -> T:
    """The condition's first true value. Raises AssertionError when there is none after ``within`` seconds."""
    clock = clock or SystemClock()
    deadline = clock.monotonic() + within
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if clock.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {getattr(condition, '__qualname__', condition)}")
        await asyncio.sleep(every)
