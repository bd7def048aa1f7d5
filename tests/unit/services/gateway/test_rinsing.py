"""The connections to purge are rinsed after each parked picture, whatever other photos are rinsed for meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from mayfly.purge.v1 import registry_pb2 as pb
from mayfly.purge.v1 import registry_pb2_grpc
from mesh.custody.book import CustodyBook
from mesh.errors import MeshError, NotFound
from mesh.forgetting import rinse
from mesh.metrics import MeshMetrics
from services.gateway.peers import Collection, Registry
from tests.unit.serving import FakeClock, calling, served

_PARK = "/mayfly.purge.v1.RegistryService/Park"
_CLAIM = "/mayfly.purge.v1.RegistryService/Claim"


class Purge(registry_pb2_grpc.RegistryServiceServicer):
    """hangs: whether it doesn't answer claims, instead of refusing them. segment: its answer, if it has one."""

    def __init__(self) -> None:
        self.hangs = False
        self.segment = b""
        self.claimed = asyncio.Event()

    async def Claim(self, request: Any, context: Any) -> AsyncGenerator[pb.ClaimResponse, None]:
        self.claimed.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.segment:
            yield pb.ClaimResponse(segment=self.segment, segment_count=1)
        raise NotFound("PHOTO_NOT_FOUND", "There is no such photo.")

    async def Park(self, requests: Any, context: Any) -> pb.ParkResponse:
        async for _ in requests:
            pass
        return pb.ParkResponse()


async def test_a_rinse_in_the_midst_of_a_parking_is_not_the_last() -> None:
    rinsed: list[str] = []
    asked: list[str] = []
    halfway, on = asyncio.Event(), asyncio.Event()

    async def count() -> None:
        rinsed.append("rinsed")

    def add(server: grpc.aio.Server) -> None:
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(Purge(), server)
        rinse.add_to(server, count)

    async def segments() -> AsyncGenerator[bytes, None]:
        yield b"first"
        halfway.set()
        await on.wait()
        yield b"last"

    allowed = {_PARK: frozenset({"gateway"}), rinse.METHOD: frozenset({"gateway"})}
    async with served(add, service="purge", allowed=allowed) as address, calling(address, "purge") as channel:
        registry = _registry(address, channel)
        registry.after_passing = lambda: asked.append("asked")
        assert await registry.rinse()
        assert rinsed == [], "nothing of a photo has passed"
        parking = asyncio.ensure_future(registry.park("0" * 32, ["render"], segments, 30))
        await halfway.wait()
        assert await registry.rinse()  # for another photo
        assert (len(rinsed), asked) == (1, [])
        on.set()
        await parking
        assert asked == ["asked"], "somebody has to be told, since no release need follow"
        assert await registry.rinse()
        assert len(rinsed) == 2
        assert await registry.rinse()
        assert len(rinsed) == 2, "once is enough"


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_claim_is_swept_up_after_if_anything_may_have_come(hangs: bool) -> None:
    """A refusal brings nothing, and apps ask again and again. Of a call that was given up nobody knows."""
    asked: list[str] = []
    purge = Purge()
    purge.hangs = hangs

    def add(server: grpc.aio.Server) -> None:
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(purge, server)

    allowed = {_CLAIM: frozenset({"gateway"})}
    async with served(add, service="purge", allowed=allowed) as address, calling(address, "purge") as channel:
        registry = _registry(address, channel)
        registry.after_passing = lambda: asked.append("asked")

        async def claim() -> None:
            async with registry.claim(Collection("0" * 32, b"o" * 32, b"c" * 32, b"m" * 16, 0)):
                pass

        claiming = asyncio.ensure_future(claim())
        if hangs:
            await purge.claimed.wait()
            claiming.cancel()
        with pytest.raises(asyncio.CancelledError if hangs else NotFound):
            await claiming
    assert asked == (["asked"] if hangs else [])


async def test_a_claim_whose_connection_breaks_in_a_segment_is_swept_up_after() -> None:
    asked: list[str] = []
    purge = Purge()
    purge.segment = bytes(900_000)

    def add(server: grpc.aio.Server) -> None:
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(purge, server)

    async with (
        served(add, service="purge", allowed={_CLAIM: frozenset({"gateway"})}) as address,
        _cutting(address) as through,
        calling(through, "purge") as channel,
    ):
        registry = _registry(through, channel)
        registry.after_passing = lambda: asked.append("asked")
        with pytest.raises(MeshError):
            async with registry.claim(Collection("0" * 32, b"o" * 32, b"c" * 32, b"m" * 16, 0)):
                pass
    assert asked


@asynccontextmanager
async def _cutting(address: str) -> AsyncIterator[str]:
    """Where ``address`` is reached, by connections that break once 200 kB have come from there."""
    host, _, port = address.rpartition(":")

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))

        async def onward() -> None:
            while data := await reader.read(1 << 16):
                back.write(data)

        going, count = asyncio.ensure_future(onward()), 0
        while count < 200_000 and (data := await there.read(1 << 16)):
            writer.write(data)
            count += len(data)
        going.cancel()
        back.transport.abort()
        writer.transport.abort()

    async with await asyncio.start_server(through, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _registry(address: str, channel: Any) -> Registry:
    clock = FakeClock()
    return Registry({address: channel}, CustodyBook("gateway", clock, MeshMetrics("gateway", "test")), clock)
