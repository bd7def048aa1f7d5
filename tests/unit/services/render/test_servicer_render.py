"""RenderService behind a real server: only attested frames reach the engine, and custody outlasts its threads."""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from mayfly.photo.v1 import photo_pb2 as photo
from mayfly.render.v1 import render_pb2 as pb
from mayfly.render.v1 import render_pb2_grpc
from mesh.attestation import AttestationVerifier, Attester, Statement
from mesh.clock import SystemClock
from mesh.custody.metadata import holder_of
from mesh.errors import Aborted, Cancelled, Denied, Exhausted, Internal, Invalid, MeshError, Overdue, Unavailable
from mesh.testing.wait import eventually
from services.render.catalogue import Catalogue
from services.render.engines.base import Engine
from services.render.engines.null import NullEngine
from services.render.metrics import RenderMetrics
from services.render.picture import Job, Picture
from services.render.picture import Progress as Tell
from services.render.servicer import OPTIONS, RenderServicer
from services.render.slots import Slots
from services.render.wiring import ALLOWED
from tests.photos import jpeg
from tests.unit.services.servicing import HOLDER, Trip, chunk, gone, recorder, seal
from tests.unit.serving import (
    CANARY,
    PURGE,
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


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


@pytest.fixture
async def quick() -> AsyncIterator[World]:
    """With an engine that waits for nobody."""
    engine = SteppedEngine()
    engine.waits = False
    async with running(engine) as world:
        yield world


def parsed(found: list[bytes]) -> tuple[list[photo.Progress], photo.PictureHeader, bytes, int]:
    """Progress, header, the picture's bytes, the seal's count; in this order, or it fails."""
    messages = [photo.PhotoFrame.FromString(frame) for frame in found]
    kinds = [message.WhichOneof("frame") for message in messages]
    told = kinds.count("progress")
    assert kinds == ["progress"] * told + ["header"] + ["chunk"] * (len(kinds) - told - 2) + ["seal"]
    data = b"".join(message.chunk for message in messages)
    progress = [message.progress for message in messages[:told]]
    return progress, messages[told].header.picture, data, messages[-1].seal.byte_count


async def test_a_picture(quick: World) -> None:
    trip = quick.trip(metadata=options(seed=7, locale="fr"))
    await trip.send(*scrubbed(quick.lease.photo_id))
    assert holder_of(await trip.call.initial_metadata()) == HOLDER
    progress, header, data, byte_count = parsed(await trip.until_seal())
    assert data == PICTURE.data
    assert (header.media_type, header.width, header.height) == ("image/jpeg", 640, 480)
    assert header.byte_count == byte_count == len(PICTURE.data)
    assert progress[-1].fraction == 1.0
    job = quick.stepped.jobs[0]
    assert b"".join(job.photo) == jpeg(300, 200, quality=95)
    assert (job.format, job.width, job.height, job.orientation) == ("jpeg", 300, 200, 6)
    assert (job.scene_id, job.seed, job.locale) == (SCENE.id, 7, "fr")
    assert quick.book.held, "held until the gateway lets go"
    await trip.call.done_writing()
    assert await trip.rest() == []
    await gone(quick.book)
    assert quick.value("seconds_count", scene_kind=SCENE.kind) == 1
    assert quick.value("step_seconds_count", step="decode") == 1


async def test_the_null_engine() -> None:
    async with running(NullEngine()) as world:
        for _ in range(30):  # progress and picture follow each other closely: the place for a race between two writes
            lease = new_lease()
            trip = world.trip(lease=lease)
            await trip.send(*scrubbed(lease.photo_id))
            await trip.call.done_writing()
            progress, header, data, _ = parsed(await trip.rest())
            assert (header.width, data[:2]) == (16, b"\xff\xd8")
            assert progress[-1].fraction == 1.0
        await gone(world.book, photos=30)


async def test_progress_never_falls(world: World) -> None:
    trip = await world.rendering()
    first = photo.PhotoFrame.FromString(await trip.read()).progress
    assert first.stage == photo.STAGE_RENDERING
    world.stepped.go_on.release()
    progress = [first, *parsed(await trip.until_seal())[0]]
    fractions = [told.fraction for told in progress]
    assert fractions == sorted(fractions)
    assert {told.step for told in progress} <= {"decode", "backdrop", "encode"}
    await trip.call.done_writing()
    await trip.rest()


async def test_replays_are_identical(quick: World) -> None:
    trip = quick.trip()
    await trip.send(*scrubbed(quick.lease.photo_id))
    found = await trip.until_seal()
    picture = found[len(parsed(found)[0]) :]
    replay = photo.PhotoFrame(replay=photo.Replay()).SerializeToString()
    for _ in range(3):
        await trip.send(replay)
        assert await trip.until_seal() == picture
    await trip.call.done_writing()
    assert await trip.rest() == []
    await gone(quick.book)
    assert len(quick.stepped.jobs) == 1


@pytest.mark.parametrize("late", [chunk(b"more"), seal(1), b"", b"\xfa\x06\x01x", b"\x2a\x00\x2a\x00"])
async def test_nothing_but_a_replay_may_follow_the_seal(quick: World, late: bytes) -> None:
    trip = quick.trip()
    await trip.send(*scrubbed(quick.lease.photo_id))
    await trip.until_seal()
    await trip.send(late)
    error = await trip.refusal()
    assert (type(error), error.reason) == (Invalid, "MALFORMED_FRAME")
    await gone(quick.book)


FLIPPED = hashlib.sha256(b"other").digest()


@pytest.mark.parametrize(
    "altered",
    [
        {"signature": b""},
        {"signature": FLIPPED},
        {"certificate": b""},
        {"certificate": Attester(identity("gateway")).certificate},
        {"scrubbed_header": b""},
        {"scrubbed_header": photo.ScrubbedHeader(format=photo.PHOTO_FORMAT_JPEG, width=9).SerializeToString()},
    ],
)
async def test_an_altered_attestation_reaches_no_engine(quick: World, altered: dict[str, bytes]) -> None:
    error = await quick.refusal(*scrubbed(quick.lease.photo_id, **altered))
    assert (type(error), error.reason) == (Denied, "ATTESTATION_INVALID")
    assert quick.stepped.jobs == []
    await gone(quick.book)


async def test_frames_that_ingest_did_not_attest_reach_no_engine(quick: World) -> None:
    photo_id = quick.lease.photo_id
    good = scrubbed(photo_id, size=5000)
    data = bytearray(good[1])
    data[-1] ^= 1
    cases = {
        "another photo": scrubbed("0" * 32),
        "another signer": scrubbed(photo_id, attester=Attester(identity("gateway"))),
        "another CA": scrubbed(photo_id, attester=Attester(identity("ingest", "theirs"))),
        "a flipped bit": [good[0], bytes(data), *good[2:]],
        "another order": [good[0], good[2], good[1], *good[3:]],
    }
    for number, (what, sent) in enumerate(cases.items(), 1):
        error = await quick.refusal(*sent)
        assert error.reason == "ATTESTATION_INVALID", what
        await gone(quick.book, photos=number)
    assert quick.stepped.jobs == []


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([], "UPLOAD_UNSEALED"),
        ([chunk(b"x")], "UPLOAD_UNSEALED"),
        ([chunk(b"x"), seal(2)], "BYTE_COUNT_MISMATCH"),
        ([seal(0)], "ATTESTATION_INVALID"),
        ([chunk(b"x"), seal(1)], "ATTESTATION_INVALID"),
        ([photo.PhotoFrame(replay=photo.Replay()).SerializeToString()], "MALFORMED_FRAME"),
        ([photo.PhotoFrame(progress=photo.Progress()).SerializeToString()], "MALFORMED_FRAME"),
        ([chunk(b"x"), photo.PhotoFrame(header=photo.PhotoHeader()).SerializeToString()], "MALFORMED_FRAME"),
        ([b"\x02\x00"], "MALFORMED_FRAME"),
        ([b"\xfa\x06\x01x"], "MALFORMED_FRAME"),
        ([b""], "MALFORMED_FRAME"),
        ([chunk(b"")], "MALFORMED_FRAME"),
        ([b"\x1a\x03\xff\xff\xff"], "MALFORMED_FRAME"),
    ],
)
async def test_bad_streams(quick: World, sent: list[bytes], reason: str) -> None:
    error = await quick.refusal(*sent)
    assert error.reason == reason
    expected = {"UPLOAD_UNSEALED": Aborted, "ATTESTATION_INVALID": Denied}.get(reason, Invalid)
    assert type(error) is expected
    assert quick.stepped.jobs == []
    await gone(quick.book)


async def test_too_large() -> None:
    async with running(max_bytes=10_000) as world:
        error = await world.refusal(*scrubbed(world.lease.photo_id, bytes(20_000), size=4000))
        assert (error.reason, error.limit) == ("PHOTO_TOO_LARGE", 10_000)
        await gone(world.book)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ([], "OPTIONS_MISSING"),
        ([(OPTIONS, b"\xff")], "OPTIONS_MISSING"),
        (options(""), "UNKNOWN_SCENE"),
        (options("../enhance"), "UNKNOWN_SCENE"),
        (options(caption_id="nonsense"), "UNKNOWN_CAPTION"),
    ],
)
async def test_bad_options_take_no_custody(quick: World, metadata: list[tuple[str, str | bytes]], reason: str) -> None:
    error = await quick.refusal(metadata=metadata)
    assert (type(error), error.reason) == (Invalid, reason)
    assert recorder(quick.book).events == []


async def test_no_lease_and_nobody_who_listens(quick: World) -> None:
    assert (await quick.refusal(lease=None)).reason == "LEASE_MISSING"
    assert type(await quick.refusal(lease=new_lease(-1))) is Overdue
    quick.book.leave(PURGE)
    assert type(await quick.refusal()) is Unavailable
    assert recorder(quick.book).events == []


@pytest.mark.parametrize("how", ["cancel", "revoke", "overdue"])
async def test_custody_outlasts_the_thread(world: World, how: str) -> None:
    """A thread can't be stopped within a step: while it runs, it has the photo."""
    lease = new_lease(0.5 if how == "overdue" else 60)
    trip = world.trip(lease=lease)
    await trip.send(*scrubbed(lease.photo_id))
    await world.stepped.reached()
    if how == "cancel":
        trip.call.cancel()
    elif how == "revoke":
        world.book.revoke(lease)
    dropped = {"cancel": "", "revoke": "revoked", "overdue": "overdue"}[how]
    name = "mayfly_custody_dropped_total"
    if dropped:
        await eventually(lambda: sample(world.book.metrics, name, service="render", reason=dropped) == 1)
    await world.round_trips()
    assert world.stepped.inside == 1
    assert world.book.held == [lease.photo_id], "not released while the thread has it"
    assert recorder(world.book).said("released") == 0
    world.stepped.go_on.release()
    await gone(world.book)
    assert (world.stepped.inside, world.stepped.was_cancelled) == (0, 1)
    if how == "revoke":
        assert (await trip.refusal()).reason == "PHOTO_REVOKED"
    if how == "overdue":
        assert type(await trip.refusal()) is Overdue
    assert world.value("slots_used") == 0


async def test_the_slot_is_free_again_after_a_cancelled_render() -> None:
    async with running(slots=1, queue=0) as world:
        trip = await world.rendering()
        trip.call.cancel()
        world.stepped.go_on.release()
        await gone(world.book)
        again = await world.rendering()
        world.stepped.go_on.release()
        assert parsed(await again.until_seal())[2] == PICTURE.data
        await again.call.done_writing()
        await again.rest()


async def test_the_queue_is_bounded() -> None:
    async with running(slots=1, queue=1) as world:
        first = await world.rendering()
        lease = new_lease()
        second = world.trip(lease=lease)
        await second.send(*scrubbed(lease.photo_id))
        told = photo.PhotoFrame.FromString(await second.read()).progress
        assert (told.stage, told.step, told.fraction, told.queue_position) == (photo.STAGE_QUEUED, "", 0.0, 1)
        assert not told.HasField("remaining"), "nothing was made yet"
        assert (
            world.value("queue_photos", service_class="standard"),
            world.value("slots_used"),
            world.value("slots"),
        ) == (1, 1, 1)
        third = new_lease()
        error = await world.refusal(*scrubbed(third.photo_id), lease=third)
        assert (type(error), error.reason, error.retry_after) == (Exhausted, "RENDER_QUEUE_FULL", 1.0)
        assert third.photo_id not in world.book.held
        assert world.value("refused_total", reason="RENDER_QUEUE_FULL") == 1
        world.stepped.go_on.release(2)
        for trip in (first, second):
            await trip.until_seal()
            await trip.call.done_writing()
            await trip.rest()
        await gone(world.book, photos=2)
        assert len(world.stepped.jobs) == 2, "the third one never came"


async def test_cancelled_while_queued() -> None:
    async with running(slots=1, queue=1) as world:
        first = await world.rendering()
        lease = new_lease()
        second = world.trip(lease=lease)
        await second.send(*scrubbed(lease.photo_id))
        await second.read()
        second.call.cancel()
        await eventually(lambda: len(world.book.held) == 1)
        assert world.value("queue_photos", service_class="standard") == 0
        world.stepped.go_on.release()
        await first.until_seal()
        await first.call.done_writing()
        await first.rest()
        assert len(world.stepped.jobs) == 1
        await gone(world.book, photos=2)


async def test_a_bug_in_the_engine_says_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.stepped.fails = lambda: ValueError(CANARY)
    trip = await world.rendering()
    world.stepped.go_on.release()
    error = await trip.refusal()
    assert (type(error), error.reason) == (Internal, "RENDER_FAILED")
    assert CANARY not in error.message + "".join(capsys.readouterr())
    await gone(world.book)
    assert world.value("failed_total", reason="RENDER_FAILED") == 1


async def test_what_the_engine_refuses(world: World) -> None:
    world.stepped.fails = lambda: Invalid("PHOTO_TOO_SMALL", "Send a larger one.", field="photo", limit=64)
    trip = await world.rendering()
    world.stepped.go_on.release()
    error = await trip.refusal()
    assert (type(error), error.reason, error.limit) == (Invalid, "PHOTO_TOO_SMALL", 64)
    await gone(world.book)


async def test_cancelled_while_the_picture_is_held(quick: World) -> None:
    trip = quick.trip()
    await trip.send(*scrubbed(quick.lease.photo_id))
    await trip.until_seal()
    assert quick.book.held
    trip.call.cancel()
    await gone(quick.book)


async def test_a_caller_that_does_not_read_the_picture(quick: World) -> None:
    """Replays wait in the window; a revocation doesn't wait with them."""
    trip = quick.trip()
    await trip.send(*scrubbed(quick.lease.photo_id))
    await trip.until_seal()
    replay = photo.PhotoFrame(replay=photo.Replay()).SerializeToString()
    for _ in range(6):  # 8 MB, of which nobody reads any
        await trip.send(replay)
    quick.book.revoke(quick.lease)
    await gone(quick.book)
    trip.call.cancel()


async def test_stopping_waits_for_the_thread_and_lets_go_before_it_is_over() -> None:
    engine = SteppedEngine()
    before = asyncio.all_tasks()
    world = World(engine, slots=1, queue=0, max_bytes=8 << 20)
    await world.slots.start()
    async with (
        served(world.servicer.add_to, service="render", allowed=ALLOWED, metrics=world.book.metrics) as address,
        calling(address, "render") as world.channel,
    ):
        await world.rendering()
    stopping = asyncio.create_task(world.slots.stop())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not stopping.done()
    assert not engine.closed
    assert not world.slots.ready
    engine.go_on.release()
    await stopping
    assert engine.closed
    await gone(world.book)
    await no_tasks_beside(before)


async def test_the_callers_deadline(world: World) -> None:
    trip = world.trip(timeout=0.5)
    await trip.send(*scrubbed(world.lease.photo_id))
    await world.stepped.reached()
    assert await trip.call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    world.stepped.go_on.release()
    await gone(world.book)


async def test_the_catalogue(quick: World) -> None:
    stub = render_pb2_grpc.RenderServiceStub(quick.channel)
    reply = await stub.ListScenes(pb.ListScenesRequest())
    assert [scene.scene_id for scene in reply.scenes] == [scene.id for scene in CATALOGUE.scenes()]
    first = reply.scenes[0]
    assert (first.kind, first.min_side, dict(first.titles)) == (SCENE.kind, SCENE.min_side, dict(SCENE.title))
    assert {caption.caption_id for caption in first.captions} == set(SCENE.captions)
    assert first.cost == SCENE.cost
    assert SCENE.preview is not None
    assert (first.preview, first.preview_media_type) == (SCENE.preview.data, SCENE.preview.media_type)
    same = await stub.ListScenes(pb.ListScenesRequest(known_edition=reply.edition))
    assert (same.unchanged, same.edition, list(same.scenes)) == (True, reply.edition, [])
    other = await stub.ListScenes(pb.ListScenesRequest(known_edition="of yesterday"))
    assert not other.unchanged and other.scenes == reply.scenes
