"""Health, for the mesh only."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.unit.mesh.middleware.world import World
from tests.unit.serving import (
    calling,
)


async def test_health_follows_the_checks(world: World) -> None:
    stub = health_pb2_grpc.HealthStub(world.channel)
    serving = health_pb2.HealthCheckResponse
    assert (await stub.Check(health_pb2.HealthCheckRequest())).status == serving.SERVING
    ready = False
    world.health.checks["engine"] = lambda: ready
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    async with asyncio.timeout(5):
        while (await watch.read()).status != serving.NOT_SERVING:
            pass
        ready = True
        while (await watch.read()).status != serving.SERVING:
            pass
        await world.health.drain()
        while (await watch.read()).status != serving.NOT_SERVING:
            pass
    watch.cancel()
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await stub.Check(health_pb2.HealthCheckRequest(service="no.Such"))
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_is_for_the_mesh_only(world: World) -> None:
    async with calling(world.address, "ingest", caller="stranger") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
