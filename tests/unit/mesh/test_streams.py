"""Reads that nobody waits for any more."""

from __future__ import annotations

import asyncio

import pytest

from mesh import streams


async def test_a_read_brings_what_it_brings() -> None:
    async def message() -> bytes:
        return b"frame"

    assert await streams.read(message()) == b"frame"


async def test_a_cancelled_waiter_lets_the_read_end_by_itself() -> None:
    """Were the read cancelled, gRPC would never free the message that arrives for it (grpc#43360)."""
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def message() -> bytes:
        await arrived.wait()
        ended.set()
        return b"frame"

    waiter = asyncio.create_task(streams.read(message()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert not ended.is_set()
    arrived.set()
    await asyncio.wait_for(ended.wait(), 5)


async def test_nobody_hears_of_an_error_that_nobody_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    arrived = asyncio.Event()

    async def message() -> bytes:
        await arrived.wait()
        raise ValueError("the call is over")

    waiter = asyncio.create_task(streams.read(message()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    arrived.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not caplog.records
