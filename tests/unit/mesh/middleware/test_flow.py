"""Callers that hang up, are late or stand still: what is counted, and that neither side runs ahead without bound."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from mesh.testing.wait import eventually
from tests.unit.mesh.middleware.world import KINDS, SERVICE, World
from tests.unit.serving import (
    calling,
    generic,
    new_metrics,
    sample,
    served,
)


@pytest.mark.parametrize("kind", KINDS)
async def test_cancelled_by_the_caller(world: World, kind: str) -> None:
    async def act() -> None:
        await asyncio.Event().wait()

    world.handlers.act = act
    call = world.call(kind)
    if kind.startswith("stream"):
        await call.write(b"")
    async with asyncio.timeout(5):
        await world.handlers.began.wait()
        call.cancel()
        await world.handlers.cancelled.wait()
    await eventually(lambda: world.handled(kind, "CANCELLED") == 1)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_callers_deadline(world: World, kind: str) -> None:
    async def act() -> None:
        await asyncio.Event().wait()

    world.handlers.act = act
    method = getattr(world.channel, kind)(f"/{SERVICE}/{kind}")
    call = method(b"", timeout=0.2) if kind.startswith("unary") else method(timeout=0.2)
    if kind.startswith("stream"):
        await call.write(b"")
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(5):
        await world.handlers.cancelled.wait()
    await eventually(lambda: world.handled(kind, "CANCELLED") == 1)


async def test_a_caller_that_hangs_up_on_a_writer_is_no_internal_error(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A write that is under way when the caller goes fails inside gRPC before the task is cancelled."""
    written = 0

    async def stream_stream(_requests: Any, context: Any) -> None:
        nonlocal written
        while True:
            await context.write(bytes(512 << 10))
            written += 1

    register = generic("t", {"pour": grpc.stream_stream_rpc_method_handler(stream_stream)})
    metrics = new_metrics()
    async with (
        served(register, service="ingest", allowed={"/t/pour": frozenset({"gateway"})}, metrics=metrics) as address,
        calling(address, "ingest") as channel,
    ):
        for _ in range(5):
            call = channel.stream_stream("/t/pour")()
            await call.read()
            call.cancel()
        labels = {"grpc_type": "stream_stream", "grpc_service": "t", "grpc_method": "pour"}
        await eventually(lambda: sample(metrics, "grpc_server_handled_total", grpc_code="CANCELLED", **labels) == 5)
    assert "internal_error" not in "".join(capsys.readouterr())


async def test_a_stalled_reader_holds_up_the_writer_within_a_bound() -> None:
    """One frame at the reader, the window (1 MiB), and one frame that waits."""
    written = 0

    async def pour(_requests: Any, context: Any) -> None:
        nonlocal written
        while True:
            await context.write(bytes(512 << 10))
            written += 512 << 10

    register = generic("t", {"pour": grpc.stream_stream_rpc_method_handler(pour)})
    async with (
        served(register, service="ingest", allowed={"/t/pour": frozenset({"gateway"})}) as address,
        calling(address, "ingest") as channel,
    ):
        call = channel.stream_stream("/t/pour")()
        await call.read()
        await _settled(lambda: written)
        assert written <= 3 << 20
        call.cancel()


async def test_a_stalled_handler_holds_up_a_fast_caller_within_a_bound() -> None:
    began = asyncio.Event()

    async def sink(_requests: Any, context: Any) -> None:
        await context.read()
        began.set()
        await asyncio.Event().wait()

    register = generic("t", {"sink": grpc.stream_stream_rpc_method_handler(sink)})
    sent = 0
    async with (
        served(register, service="ingest", allowed={"/t/sink": frozenset({"gateway"})}) as address,
        calling(address, "ingest") as channel,
    ):
        call = channel.stream_stream("/t/sink")()

        async def pour() -> None:
            nonlocal sent
            while True:
                await call.write(bytes(512 << 10))
                sent += 512 << 10

        pouring = asyncio.create_task(pour())
        await began.wait()
        await _settled(lambda: sent)
        assert 0 < sent <= 3 << 20
        pouring.cancel()
        call.cancel()


async def _settled(value: Any) -> None:
    """Until a number has not changed for a while."""
    last, since = value(), 0

    def steady() -> bool:
        nonlocal last, since
        since = since + 1 if value() == last else 0
        last = value()
        return since > 60

    await eventually(steady)
