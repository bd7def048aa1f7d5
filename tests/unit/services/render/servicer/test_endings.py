"""However a render ends, its custody outlasts the engine's threads and its slot is free again."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from mayfly.photo.v1 import photo_pb2 as photo
from mayfly.render.v1 import render_pb2 as pb
from mayfly.render.v1 import render_pb2_grpc
from mesh.errors import Exhausted, Internal, Invalid, Overdue
from mesh.testing.wait import eventually
from services.render.wiring import ALLOWED
from tests.unit.services.render.servicer.world import (
    CATALOGUE,
    PICTURE,
    SCENE,
    SteppedEngine,
    World,
    parsed,
    running,
    scrubbed,
)
from tests.unit.services.servicing import Trip, gone, recorder
from tests.unit.serving import (
    CANARY,
    calling,
    new_lease,
    no_tasks_beside,
    sample,
    served,
)


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


async def _queued(world: World) -> tuple[Trip, photo.Progress]:
    """A photo that waits behind another, and what it was told."""
    lease = new_lease()
    trip = world.trip(lease=lease)
    await trip.send(*scrubbed(lease.photo_id))
    return trip, photo.PhotoFrame.FromString(await trip.read()).progress


async def _whole(trip: Trip) -> None:
    """Takes the picture, and lets render go."""
    await trip.until_seal()
    await trip.call.done_writing()
    await trip.rest()


async def test_the_queue_is_bounded() -> None:
    async with running(slots=1, queue=1) as world:
        first = await world.rendering()
        second, told = await _queued(world)
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
            await _whole(trip)
        await gone(world.book, photos=2)
        assert len(world.stepped.jobs) == 2, "the third one never came"


async def test_cancelled_while_queued() -> None:
    async with running(slots=1, queue=1) as world:
        first = await world.rendering()
        second, _ = await _queued(world)
        second.call.cancel()
        await eventually(lambda: len(world.book.held) == 1)
        assert world.value("queue_photos", service_class="standard") == 0
        world.stepped.go_on.release()
        await _whole(first)
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
    await eventually(lambda: not world.slots.ready)
    assert not stopping.done()
    assert not engine.closed
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
