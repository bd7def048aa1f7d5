"""All four kinds of RPC through the whole chain, over mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from mesh.errors import Exhausted, MeshError
from mesh.health import Health
from mesh.status import from_rpc
from tests.unit.serving import (
    calling,
    error_of,
    generic,
    new_metrics,
    no_tasks_beside,
    sample,
    served,
)

SERVICE = "mayfly.test.v1.Test"
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
ERROR = Exhausted("TEST_FULL", "Wait.", retry_after=3.0)


class Handlers:
    """One method of each kind; ``act`` says what they do."""

    def __init__(self) -> None:
        self.act: Any = lambda: b"ok"
        self.began, self.cancelled = asyncio.Event(), asyncio.Event()

    async def _do(self) -> bytes:
        self.began.set()
        try:
            result = self.act()
            return await result if asyncio.iscoroutine(result) else result
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def unary_unary(self, _request: bytes, _context: Any) -> bytes:
        return await self._do()

    async def unary_stream(self, _request: bytes, _context: Any) -> AsyncIterator[bytes]:
        yield await self._do()

    async def stream_unary(self, _requests: Any, context: Any) -> bytes:
        await context.read()
        return await self._do()

    async def stream_stream(self, _requests: Any, context: Any) -> None:
        await context.read()
        await context.write(await self._do())

    def by_name(self) -> dict[str, Any]:
        return {kind: getattr(grpc, f"{kind}_rpc_method_handler")(getattr(self, kind)) for kind in KINDS}


class World:
    def __init__(self) -> None:
        self.handlers = Handlers()
        self.metrics = new_metrics()
        self.health = Health()
        self.address = ""
        self.channel: Any = None

    def call(self, kind: str, channel: Any = None) -> Any:
        method = getattr(channel or self.channel, kind)(f"/{SERVICE}/{kind}")
        return method(b"") if kind.startswith("unary") else method()

    async def ask(self, kind: str, channel: Any = None) -> bytes:
        call = self.call(kind, channel)
        if kind.startswith("stream"):
            await call.write(b"")
            await call.done_writing()
        return await (call.read() if kind.endswith("stream") else call)

    async def refusal(self, kind: str, channel: Any = None) -> MeshError:
        call = self.call(kind, channel)
        if kind.startswith("stream"):
            try:
                await call.write(b"")
                await call.done_writing()
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass
        if kind.endswith("stream"):
            return await error_of(call)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return from_rpc(error)
        raise AssertionError("it went well")

    def handled(self, kind: str, code: str) -> float:
        return sample(
            self.metrics,
            "grpc_server_handled_total",
            grpc_type=kind,
            grpc_service=SERVICE,
            grpc_method=kind,
            grpc_code=code,
        )

    def started(self, kind: str) -> float:
        labels = {"grpc_type": kind, "grpc_service": SERVICE, "grpc_method": kind}
        return sample(self.metrics, "grpc_server_started_total", **labels)

    def seconds(self, kind: str) -> float:
        labels = {"grpc_type": kind, "grpc_service": SERVICE, "grpc_method": kind}
        return sample(self.metrics, "grpc_server_handling_seconds_count", **labels)


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    before = asyncio.all_tasks()
    world = World()
    allowed = {f"/{SERVICE}/{kind}": frozenset({"gateway"}) for kind in KINDS}
    register = generic(SERVICE, {**world.handlers.by_name(), "unlisted": world.handlers.by_name()["unary_unary"]})
    async with (
        served(register, service="ingest", allowed=allowed, metrics=world.metrics, health=world.health) as address,
        calling(address, "ingest") as channel,
    ):
        world.address, world.channel = address, channel
        yield world
    await no_tasks_beside(before)
