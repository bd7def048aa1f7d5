"""Whether this process can do its work now: named checks, one answer, for gRPC health and /readyz alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio

HEALTH_METHODS = ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch")
_EVERY = 0.5  # seconds between looks; a change reaches gRPC health watchers within that


class Health:
    """A component; ``checks`` may be added until it starts."""

    def __init__(self) -> None:
        self.checks: dict[str, Callable[[], bool]] = {}
        self.pages: dict[str, Callable[[], Mapping[str, object]]] = {}
        """What /readyz says beside the names of failing checks: for people, as JSON."""
        self.servicer = aio.HealthServicer()
        self._draining = False
        self._task: asyncio.Task[None] | None = None

    def failing(self) -> list[str]:
        """The names of the checks that fail now."""
        return ["draining"] * self._draining + [name for name, check in self.checks.items() if not check()]

    def add_to(self, server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self.servicer, server)

    async def start(self) -> None:
        await self._publish()
        self._task = asyncio.create_task(self._watch())

    async def drain(self) -> None:
        """From now on: not serving, so that load balancers look elsewhere."""
        self._draining = True
        await self._publish()

    async def stop(self) -> None:
        await self.drain()
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self._publish()

    async def _publish(self) -> None:
        serving = health_pb2.HealthCheckResponse.ServingStatus
        await self.servicer.set("", serving.NOT_SERVING if self.failing() else serving.SERVING)
