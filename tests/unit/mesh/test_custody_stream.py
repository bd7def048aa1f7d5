"""The holder's end of the custody stream against a real server of the other end, over mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from mayfly.purge.v1 import custody_pb2 as pb
from mayfly.purge.v1 import custody_pb2_grpc
from mesh.custody.attendance import Attendance
from mesh.custody.book import CustodyBook, LeaseRef
from mesh.custody.guard import in_custody
from mesh.custody.outbox import Batch
from mesh.custody.stream import CustodyStream
from mesh.errors import Cancelled, Unavailable
from mesh.testing.wait import eventually
from tests.unit.serving import PURGE, HastyClock, calling, new_lease, new_metrics, no_tasks_beside, sample, served

HELD, RELEASED, CONFIRMED = (
    pb.CUSTODY_CHANGE_HELD,
    pb.CUSTODY_CHANGE_RELEASED,
    pb.CUSTODY_CHANGE_REVOCATION_CONFIRMED,
)
ALLOWED = {"/mayfly.purge.v1.CustodyService/Attend": frozenset({"ingest"})}


class Purge(custody_pb2_grpc.CustodyServiceServicer):
    """Hears reports; what it answers, and when it breaks, a test says."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.hellos: list[pb.HolderHello] = []
        self.batches: list[pb.CustodyBatch] = []
        self.welcome, self.acknowledging = asyncio.Event(), asyncio.Event()
        self.welcome.set()
        self.acknowledging.set()
        self.known = 0  # the last sequence that this epoch's hello is answered with
        self.before_welcome: list[pb.CustodyCommand] = []
        self.break_after: int | None = None  # batches
        self._break = asyncio.Event()
        self._down: asyncio.Queue[pb.CustodyCommand] = asyncio.Queue()

    @property
    def events(self) -> list[pb.CustodyEvent]:
        return [event for batch in self.batches for event in batch.events]

    def changes_of(self, photo_id: str) -> list[int]:
        return [event.change for event in self.events if event.photo_id == photo_id]

    def revoke(self, lease: LeaseRef) -> None:
        revocation = pb.Revocation(photo_id=lease.photo_id)
        revocation.expire_time.FromNanoseconds(int(lease.expire_time * 1e9))
        self._down.put_nowait(pb.CustodyCommand(revocation=revocation))

    def break_now(self) -> None:
        self._break.set()

    async def Attend(self, requests: Any, context: Any) -> None:
        self._break.clear()
        self._down = asyncio.Queue()
        self.hellos.append((await context.read()).hello)
        for command in self.before_welcome:
            await context.write(command)
        await self.welcome.wait()
        await context.write(self._acknowledge(self.known, self.name))
        pumps = {asyncio.create_task(self._hear(context)), asyncio.create_task(self._tell(context))}
        breaking = asyncio.create_task(self._break.wait())
        try:
            await asyncio.wait({*pumps, breaking}, return_when=asyncio.FIRST_COMPLETED)
            if breaking.done():
                await context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
        finally:
            for task in (*pumps, breaking):
                task.cancel()

    async def _hear(self, context: Any) -> None:
        while isinstance(report := await context.read(), pb.CustodyReport):
            self.batches.append(report.batch)
            if self.break_after is not None and len(self.batches) >= self.break_after:
                self.break_after = None
                self._break.set()
            self._down.put_nowait(self._acknowledge(report.batch.sequence))

    async def _tell(self, context: Any) -> None:
        while True:
            command = await self._down.get()
            await self.acknowledging.wait()
            await context.write(command)

    @staticmethod
    def _acknowledge(sequence: int, registry: str = "") -> pb.CustodyCommand:
        return pb.CustodyCommand(acknowledgement=pb.Acknowledgement(sequence=sequence, registry=registry))


class World:
    """An ingest that attends, and the purge that listens."""

    def __init__(self) -> None:
        self.purge = Purge()
        self.book = CustodyBook("ingest", HastyClock(), new_metrics())
        self.stack = AsyncExitStack()
        self.attendance: Attendance

    @property
    def stream(self) -> CustodyStream:
        """The only one."""
        (stream,) = self.attendance.streams
        return stream

    async def start(self) -> None:
        def register(server: grpc.aio.Server) -> None:
            custody_pb2_grpc.add_CustodyServiceServicer_to_server(self.purge, server)

        address = await self.stack.enter_async_context(served(register, service="purge", allowed=ALLOWED))
        channel = await self.stack.enter_async_context(calling(address, "purge", caller="ingest"))
        self.attendance = Attendance(
            self.book,
            {PURGE: channel},
            instance="ingest-0",
            lockdown_controls=["no_core_dumps"],
            processors=["null (embedded)"],
        )
        await self.attendance.start()

    async def attended(self) -> None:
        await eventually(self.book.is_attended)

    def hold(self) -> Any:
        return self.book.hold(new_lease(), lambda _: None)

    async def idle(self) -> None:
        await eventually(self.stream._idle.is_set)

    @property
    def up(self) -> float:
        return sample(self.book.metrics, "mayfly_custody_stream_up", service="ingest", registry=PURGE)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    before = asyncio.all_tasks()
    world = World()
    await world.start()
    yield world
    world.purge.acknowledging.set()
    await world.attendance.stop()
    await world.stack.aclose()
    await no_tasks_beside(before)


async def test_not_attended_until_the_hello_is_acknowledged() -> None:
    world = World()
    world.purge.welcome.clear()
    world.purge.before_welcome = [pb.CustodyCommand(revocation=pb.Revocation(photo_id="0" * 32))]
    await world.start()
    await eventually(lambda: world.purge.hellos)
    await eventually(lambda: world.book._revoked)  # something came down, but no acknowledgement
    assert not world.book.is_attended()
    assert world.up == 0
    with pytest.raises(Unavailable):
        world.hold()
    world.purge.welcome.set()
    await world.attended()
    assert world.up == 1
    world.hold().release()
    await world.attendance.stop()
    await world.stack.aclose()


async def test_the_hello_says_who_speaks(world: World) -> None:
    await world.attended()
    hello = world.purge.hellos[0]
    assert (hello.instance, list(hello.lockdown_controls), list(hello.processors)) == (
        "ingest-0",
        ["no_core_dumps"],
        ["null (embedded)"],
    )
    assert world.attendance.holder == f"ingest/ingest-0/{hello.epoch}"
    assert len(bytes.fromhex(hello.epoch)) == 8
    assert not hello.held_photo_ids


async def test_reports_arrive_in_order_with_how_long_it_took(world: World) -> None:
    await world.attended()
    custody = world.hold()
    custody.release()
    await world.idle()
    assert world.purge.changes_of(custody.lease.photo_id) == [HELD, RELEASED]
    assert world.purge.events[-1].held_micros >= 0
    assert [batch.sequence for batch in world.purge.batches] == list(range(1, len(world.purge.batches) + 1))


async def test_many_reports_share_batches_of_64(world: World) -> None:
    await world.attended()
    custodies = [world.hold() for _ in range(150)]
    for custody in custodies:
        custody.release()
    await world.idle()
    assert len(world.purge.events) == 300
    assert max(len(batch.events) for batch in world.purge.batches) == 64
    assert len(world.purge.batches) == 5
    assert [event.photo_id for event in world.purge.events[:150]] == [c.lease.photo_id for c in custodies]


async def test_what_was_not_acknowledged_is_sent_again_in_order(world: World) -> None:
    await world.attended()
    world.purge.acknowledging.clear()
    first = world.hold()
    await eventually(lambda: len(world.purge.batches) == 1)
    second = world.hold()
    await eventually(lambda: len(world.purge.batches) == 2)
    world.purge.break_now()
    await eventually(lambda: len(world.purge.hellos) == 2)
    assert set(world.purge.hellos[1].held_photo_ids) == {first.lease.photo_id, second.lease.photo_id}
    assert world.purge.hellos[1].epoch == world.purge.hellos[0].epoch
    world.purge.acknowledging.set()
    await eventually(lambda: len(world.purge.batches) == 4)
    assert [batch.sequence for batch in world.purge.batches] == [1, 2, 1, 2]
    assert world.purge.batches[2] == world.purge.batches[0]
    first.release()
    second.release()
    await world.idle()


async def test_what_purge_knows_by_the_hello_is_not_sent_again(world: World) -> None:
    await world.attended()
    world.purge.acknowledging.clear()
    custody = world.hold()
    await eventually(lambda: len(world.purge.batches) == 1)
    world.purge.known = 1
    world.purge.break_now()
    await eventually(lambda: len(world.purge.hellos) == 2)
    world.purge.acknowledging.set()
    custody.release()
    await world.idle()
    assert [batch.sequence for batch in world.purge.batches] == [1, 2]


@pytest.mark.parametrize("break_after", [1, 2, 3, 5])
async def test_no_report_is_stuck_wherever_the_stream_breaks(world: World, break_after: int) -> None:
    """More than one batch waits, the stream breaks between two of them, and nothing new is reported afterwards."""
    await world.attended()
    world.purge.break_after = break_after
    custodies = [world.hold() for _ in range(200)]
    for custody in custodies:
        custody.release()
    await world.idle()
    heard: dict[int, pb.CustodyBatch] = {}
    for batch in world.purge.batches:
        assert heard.setdefault(batch.sequence, batch) == batch, "the same sequence says the same"
    events = [event for sequence in sorted(heard) for event in heard[sequence].events]
    assert [event.photo_id for event in events] == [c.lease.photo_id for c in custodies] * 2
    assert sorted(heard) == list(range(1, len(heard) + 1))


async def test_reports_while_the_stream_is_down_are_kept(world: World) -> None:
    await world.attended()
    custody = world.hold()
    await eventually(lambda: world.purge.batches)
    world.purge.welcome.clear()
    world.purge.break_now()
    await eventually(lambda: not world.book.is_attended())
    assert world.up == 0
    with pytest.raises(Unavailable):
        world.hold()
    custody.release()
    world.purge.welcome.set()
    await world.idle()
    assert world.purge.changes_of(custody.lease.photo_id) == [HELD, RELEASED]


async def test_a_sender_that_fails_brings_the_stream_down_and_it_comes_back(world: World) -> None:
    """A bug in the sender must not leave a process attended that reports nothing."""
    await world.attended()
    outbox = world.stream._outbox
    broken = outbox.next_batch

    def fail() -> Batch:
        outbox.next_batch = broken  # type: ignore[method-assign] # once
        raise RuntimeError("a bug")

    outbox.next_batch = fail  # type: ignore[method-assign]
    custody = world.hold()
    await eventually(lambda: len(world.purge.hellos) == 2)
    await world.attended()
    custody.release()
    await world.idle()
    assert world.purge.changes_of(custody.lease.photo_id) == [HELD, RELEASED]


async def test_revocation_drop_confirmation(world: World) -> None:
    await world.attended()
    lease = new_lease()

    async def work() -> None:
        async with in_custody(world.book, lease):
            world.purge.revoke(lease)
            await asyncio.Event().wait()

    with pytest.raises(Cancelled):
        async with asyncio.timeout(5):
            await asyncio.create_task(work())
    await world.idle()
    assert world.purge.changes_of(lease.photo_id) == [HELD, RELEASED, CONFIRMED]


async def test_revocation_of_what_is_not_here_is_confirmed_at_once(world: World) -> None:
    await world.attended()
    lease = new_lease()
    world.purge.revoke(lease)
    await eventually(lambda: world.purge.changes_of(lease.photo_id) == [CONFIRMED])


async def test_a_stop_flushes_what_is_not_yet_acknowledged(world: World) -> None:
    await world.attended()
    world.purge.acknowledging.clear()
    custody = world.hold()
    custody.release()
    stopping = asyncio.create_task(world.attendance.stop())
    await eventually(lambda: world.purge.changes_of(custody.lease.photo_id) == [HELD, RELEASED])
    assert not stopping.done()
    world.purge.acknowledging.set()
    await stopping


async def test_a_stop_waits_for_what_is_still_held(world: World) -> None:
    """A thread that is in the midst of a step lets go after the stop has begun."""
    await world.attended()
    custody = world.hold()
    await eventually(lambda: world.purge.changes_of(custody.lease.photo_id) == [HELD])
    stopping = asyncio.create_task(world.attendance.stop())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not stopping.done()
    custody.release()
    await stopping
    assert world.purge.changes_of(custody.lease.photo_id) == [HELD, RELEASED]


async def test_a_stop_without_purge_returns_at_once() -> None:
    world = World()
    world.purge.welcome.clear()
    await world.start()
    world.book.attend(PURGE)
    custody = world.hold()
    world.book.leave(PURGE)
    custody.release()
    async with asyncio.timeout(1):
        await world.attendance.stop()
    assert world.stream._task is not None
    assert world.stream._task.done()
    await world.stack.aclose()


async def test_a_caller_that_is_not_listed_is_never_attended() -> None:
    world = World()
    stack = AsyncExitStack()

    def register(server: grpc.aio.Server) -> None:
        custody_pb2_grpc.add_CustodyServiceServicer_to_server(world.purge, server)

    address = await stack.enter_async_context(served(register, service="purge", allowed={}))
    channel = await stack.enter_async_context(calling(address, "purge", caller="ingest"))
    stream = Attendance(world.book, {address: channel}, instance="ingest-0", lockdown_controls=[])
    call = custody_pb2_grpc.CustodyServiceStub(channel).Attend()
    assert await call.code() is grpc.StatusCode.PERMISSION_DENIED
    await stream.start()
    for _ in range(50):
        await asyncio.sleep(0)
    assert not world.book.is_attended()
    assert world.purge.hellos == []
    await stream.stop()
    await stack.aclose()
