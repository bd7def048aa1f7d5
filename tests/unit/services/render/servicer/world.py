"""RenderService behind a real server, with an engine that waits in its second step until it is let go."""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from mayfly.photo.v1 import photo_pb2 as photo
from mayfly.render.v1 import render_pb2 as pb
from mayfly.render.v1 import render_pb2_grpc
from mesh.attestation import AttestationVerifier, Attester, Statement
from mesh.clock import SystemClock
from mesh.errors import Cancelled, MeshError
from mesh.testing.wait import eventually
from services.render.catalogue import Catalogue
from services.render.engines.base import Engine
from services.render.metrics import RenderMetrics
from services.render.picture import Job, Picture
from services.render.picture import Progress as Tell
from services.render.servicer import OPTIONS, RenderServicer
from services.render.slots import Slots
from services.render.wiring import ALLOWED
from tests.photos import jpeg
from tests.unit.services.servicing import HOLDER, Trip, chunk
from tests.unit.serving import (
    calling,
    identity,
    new_book,
    new_lease,
    no_tasks_beside,
    sample,
    served,
)

METHOD = "/mayfly.render.v1.RenderService/Render"
CATALOGUE = Catalogue.load()
SCENE = CATALOGUE.scenes()[0]
PICTURE = Picture(random.Random(1).randbytes(1_300_000), "image/jpeg", 640, 480)


class SteppedEngine:
    """Two steps; in the second a thread stays until the test lets it go on."""

    name = "stepped"
    processors = ("stepped-embedded",)

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.in_step, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.inside = 0
        self.waits = True
        self.fails: Callable[[], Exception] | None = None
        self.closed = False
        self.was_cancelled = 0

    def start(self) -> None:
        """Nothing to load."""

    def ready(self) -> bool:
        return True

    def render(self, job: Job, progress: Tell, cancelled: Callable[[], bool]) -> Picture:
        self.jobs.append(job)
        self.inside += 1
        try:
            progress("decode", 0.0)
            progress("backdrop", 0.4)
            progress("backdrop", 0.2)
            self.in_step.release()
            if self.waits and not self.go_on.acquire(timeout=15):
                raise AssertionError("forgotten")
            if self.fails is not None:
                raise self.fails()
            if cancelled():
                self.was_cancelled += 1
                raise Cancelled("RENDER_CANCELLED", "The render was taken back.")
            progress("encode", 1.0)
            return PICTURE
        finally:
            self.inside -= 1

    async def reached(self) -> None:
        """Until a thread is in the second step."""
        await eventually(lambda: self.in_step.acquire(blocking=False))

    def close(self) -> None:
        self.closed = True


def scrubbed(
    photo_id: str, data: bytes | None = None, *, size: int = 20_000, attester: Attester | None = None, **altered: Any
) -> list[bytes]:
    """What ingest sends: header, chunks, seal with its attestation, of which parts may be ``altered``."""
    data = jpeg(300, 200, quality=95) if data is None else data
    header = photo.ScrubbedHeader(format=photo.PHOTO_FORMAT_JPEG, width=300, height=200, orientation=6)
    attester = attester or Attester(identity("ingest"))
    statement = Statement(photo_id, len(data), hashlib.sha256(data).digest(), header.SerializeToString())
    attestation = photo.Attestation(
        scrubbed_header=statement.header, signature=attester.sign(statement), certificate=attester.certificate
    )
    for name, value in altered.items():
        setattr(attestation, name, value)
    first = photo.PhotoFrame(header=photo.PhotoHeader(scrubbed=header))
    last = photo.PhotoFrame(seal=photo.PhotoSeal(byte_count=len(data), attestation=attestation))
    chunks = [chunk(data[at : at + size]) for at in range(0, len(data), size)]
    return [first.SerializeToString(), *chunks, last.SerializeToString()]


def options(scene_id: str = SCENE.id, **more: Any) -> list[tuple[str, str | bytes]]:
    return [(OPTIONS, pb.RenderOptions(scene_id=scene_id, **more).SerializeToString())]


class World:
    def __init__(self, engine: Engine, *, slots: int, queue: int, max_bytes: int) -> None:
        self.book = new_book("render")
        metrics = RenderMetrics(self.book.metrics.registry)
        self.slots = Slots(engine, slots=slots, queue=queue, metrics=metrics, clock=SystemClock())
        self.servicer = RenderServicer(
            book=self.book,
            holder=HOLDER,
            catalogue=CATALOGUE,
            slots=self.slots,
            verifier=AttestationVerifier(identity("render"), "ingest", SystemClock()),
            max_bytes=max_bytes,
        )
        self.engine = engine
        self.channel: Any = None
        self.lease = new_lease()

    @property
    def stepped(self) -> SteppedEngine:
        assert isinstance(self.engine, SteppedEngine)
        return self.engine

    def trip(self, **given: Any) -> Trip:
        given.setdefault("lease", self.lease)
        given.setdefault("metadata", options())
        return Trip(self.channel.stream_stream(METHOD), **given)

    async def rendering(self) -> Trip:
        """A call whose photo is in a thread's hands."""
        lease = new_lease()
        trip = self.trip(lease=lease)
        await trip.send(*scrubbed(lease.photo_id))
        await self.stepped.reached()
        return trip

    async def refusal(self, *sent: bytes, **given: Any) -> MeshError:
        trip = self.trip(**given)
        await trip.send(*sent)
        await trip.call.done_writing()
        return await trip.refusal()

    async def round_trips(self) -> None:
        """What was sent or cancelled before this on the same connection has arrived when it returns."""
        for _ in range(3):
            await render_pb2_grpc.RenderServiceStub(self.channel).ListScenes(pb.ListScenesRequest())

    def value(self, name: str, **labels: str) -> float:
        return sample(self.book.metrics, f"mayfly_render_{name}", **labels)


@asynccontextmanager
async def running(
    engine: Engine | None = None, *, slots: int = 2, queue: int = 4, max_bytes: int = 8 << 20
) -> AsyncIterator[World]:
    before = asyncio.all_tasks()
    world = World(engine or SteppedEngine(), slots=slots, queue=queue, max_bytes=max_bytes)
    await world.slots.start()
    async with (
        served(world.servicer.add_to, service="render", allowed=ALLOWED, metrics=world.book.metrics) as address,
        calling(address, "render") as world.channel,
    ):
        yield world
        await eventually(lambda: not world.book.held)
    await world.slots.stop()
    await no_tasks_beside(before)


def parsed(found: list[bytes]) -> tuple[list[photo.Progress], photo.PictureHeader, bytes, int]:
    """Progress, header, the picture's bytes, the seal's count; in this order, or it fails."""
    messages = [photo.PhotoFrame.FromString(frame) for frame in found]
    kinds = [message.WhichOneof("frame") for message in messages]
    told = kinds.count("progress")
    assert kinds == ["progress"] * told + ["header"] + ["chunk"] * (len(kinds) - told - 2) + ["seal"]
    data = b"".join(message.chunk for message in messages)
    progress = [message.progress for message in messages[:told]]
    return progress, messages[told].header.picture, data, messages[-1].seal.byte_count
