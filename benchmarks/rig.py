"""A mesh of its own for a measurement, with the engine that does nothing, and clients that count and can wait."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from benchmarks import processes
from clients.local.mesh import LocalMesh
from clients.sdk.client import MayflyClient

MESH = ("gateway", "ingest", "render", "purge", "valkey")
SCENE = "bright_day"
CHUNK = 512 << 10
_OPEN = {
    "gateway": {"MAYFLY_GATEWAY_MAX_PHOTOS": "256", "MAYFLY_GATEWAY_MAX_PHOTOS_PER_OWNER": "256"},
    "render": {"MAYFLY_RENDER_ENGINE": "null", "MAYFLY_RENDER_QUEUE": "256"},
}


@contextlib.contextmanager
def running_mesh(more: Mapping[str, Mapping[str, str]] = MappingProxyType({})) -> Iterator[LocalMesh]:
    """Fresh, in a folder that is gone afterwards. more: service -> settings, besides those of every measurement."""
    told = {name: {**_OPEN.get(name, {}), **more.get(name, {})} for name in {*_OPEN, *more}}
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-") as folder, LocalMesh(Path(folder), told) as mesh:
        yield mesh


def client_of(mesh: LocalMesh) -> MayflyClient:
    """An app of its own: each has its own connection."""
    return MayflyClient(mesh.gateway_address, mesh.ca_file, mesh.token())


class Upload:
    """One photo on its way in. ``sent`` is what flow control has taken from the client, bytes."""

    def __init__(self, photo: bytes, chunk: int = CHUNK) -> None:
        self._photo = photo
        self._chunk = chunk
        self.sent = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._photo), self._chunk):
            await self._before(last=at + self._chunk >= len(self._photo))
            piece = self._photo[at : at + self._chunk]
            yield piece
            self.sent += len(piece)

    async def _before(self, *, last: bool) -> None:
        """Whoever wants to wait before a chunk."""


class GatedUpload(Upload):
    """``leased`` tells when the first chunk may be sent; it waits for ``start``, and the last one for ``finish``."""

    def __init__(self, photo: bytes, start: asyncio.Event, finish: asyncio.Event) -> None:
        super().__init__(photo)
        self.leased = asyncio.Event()
        self._start, self._finish = start, finish

    async def _before(self, *, last: bool) -> None:
        self.leased.set()
        await self._start.wait()
        if last:
            await self._finish.wait()


async def trip(client: MayflyClient, upload: Upload, ttl: float = 120.0) -> None:
    """One photo through the whole mesh, receipt included."""
    result = await client.render(upload.chunks(), SCENE, ttl=ttl, reconnect=False)
    assert result.receipt is not None, "the trip ended without its receipt"


async def warm_up(mesh: LocalMesh, photo: bytes, trips: int) -> None:
    async with client_of(mesh) as client:
        for _ in range(trips):
            await trip(client, Upload(photo))


def cpu(mesh: LocalMesh) -> dict[str, float]:
    """CPU seconds so far of every process of the mesh, and of this one, which is the client."""
    seconds = {name: processes.cpu_seconds(mesh.pid(name)) for name in MESH}
    return {**seconds, "client": time.process_time()}


@contextlib.contextmanager
def stopped(mesh: LocalMesh, service: str) -> Iterator[None]:
    """SIGSTOP for the duration of the block."""
    mesh.kill(service, signal.SIGSTOP)
    try:
        yield
    finally:
        mesh.kill(service, signal.SIGCONT)


async def quiet(look: Callable[[], int], seconds: float = 1.0, at_most: float = 12.0) -> int:
    """Waits until ``look`` has said the same for ``seconds``; returns it."""
    deadline = time.monotonic() + at_most
    value, since = look(), time.monotonic()
    while time.monotonic() - since < seconds and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        if (now := look()) != value:
            value, since = now, time.monotonic()
    return value
