"""One process before several replicas of purge: real servers over mutual TLS, each of which may be away."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from mayfly.purge.v1 import custody_pb2 as pb
from mayfly.purge.v1 import custody_pb2_grpc
from mesh.custody import outbox
from mesh.custody.attendance import Attendance
from mesh.custody.book import Custody, CustodyBook
from mesh.custody.stream import CustodyStream
from mesh.errors import Unavailable
from mesh.testing.wait import eventually
from tests.unit.mesh.test_custody_stream import ALLOWED, CONFIRMED, HELD, RELEASED, Purge
from tests.unit.serving import HastyClock, calling, new_lease, new_metrics, no_tasks_beside, sample, served

NAMES = ("purge-0", "purge-1")


class World:
    """An ingest that attends two replicas."""

    def __init__(self) -> None:
        self.purges = {name: Purge(name) for name in NAMES}
        self.targets: dict[str, str] = {}
        self.book = CustodyBook("ingest", HastyClock(), new_metrics())
        self.attendance: Attendance
        self.stack = AsyncExitStack()

    async def start(self) -> None:
        channels: dict[str, Any] = {}
        for name, purge in self.purges.items():
            address = await self.stack.enter_async_context(
                served(self._registering(purge), service="purge", allowed=ALLOWED)
            )
            self.targets[name] = address
            channels[address] = await self.stack.enter_async_context(calling(address, "purge", caller="ingest"))
        self.attendance = Attendance(self.book, channels, instance="ingest-0", lockdown_controls=[])
        await self.attendance.start()

    @staticmethod
    def _registering(purge: Purge) -> Any:
        def register(server: grpc.aio.Server) -> None:
            custody_pb2_grpc.add_CustodyServiceServicer_to_server(purge, server)

        return register

    async def attended(self, *names: str) -> None:
        await eventually(lambda: sorted(self.book.attended.values()) == sorted(names))

    def hold(self, registry: str) -> Custody:
        return self.book.hold(dataclasses.replace(new_lease(), registry=registry), lambda _: None)

    async def pass_photos(self, count: int) -> None:
        """So many of purge-0 come and go, and it has heard of it."""
        for _ in range(count):
            self.hold("purge-0").release()
        await eventually(lambda: self.stream("purge-0")._outbox.is_empty)

    def stream(self, name: str) -> CustodyStream:
        return self.attendance.streams[NAMES.index(name)]

    def up(self, name: str) -> float:
        labels = {"service": "ingest", "registry": self.targets[name]}
        return sample(self.book.metrics, "mayfly_custody_stream_up", **labels)

    def go_away(self, name: str) -> None:
        """It is not heard of until its ``welcome`` is set again."""
        self.purges[name].welcome.clear()
        self.purges[name].break_now()

    async def idle(self, name: str) -> None:
        await eventually(self.stream(name)._idle.is_set)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    before = asyncio.all_tasks()
    world = World()
    await world.start()
    yield world
    for purge in world.purges.values():
        purge.acknowledging.set()
    await world.attendance.stop()
    await world.stack.aclose()
    await no_tasks_beside(before)


async def test_every_replica_hears_everything_in_a_sequence_of_its_own(world: World) -> None:
    await world.attended(*NAMES)
    custody = world.hold("purge-1")
    custody.release()
    for name, purge in world.purges.items():
        await world.idle(name)
        assert purge.changes_of(custody.lease.photo_id) == [HELD, RELEASED]
        assert purge.batches[0].sequence == 1
    assert len({hello.epoch for purge in world.purges.values() for hello in purge.hellos}) == 1


async def test_a_replica_that_is_away_refuses_its_photos_and_no_others(world: World) -> None:
    await world.attended(*NAMES)
    assert (world.up("purge-0"), world.up("purge-1")) == (1, 1)
    world.go_away("purge-1")
    await world.attended("purge-0")
    assert (world.up("purge-0"), world.up("purge-1")) == (1, 0)
    with pytest.raises(Unavailable):
        world.hold("purge-1")
    custody = world.hold("purge-0")
    custody.release()
    await world.idle("purge-0")
    assert world.purges["purge-0"].changes_of(custody.lease.photo_id) == [HELD, RELEASED]
    world.purges["purge-1"].welcome.set()
    await world.attended(*NAMES)
    await world.idle("purge-1")
    assert world.purges["purge-1"].changes_of(custody.lease.photo_id) == [HELD, RELEASED], "late, but all of it"


async def test_a_revocation_comes_from_any_and_is_confirmed_to_all(world: World) -> None:
    await world.attended(*NAMES)
    custody = world.hold("purge-0")
    world.purges["purge-1"].revoke(custody.lease)
    await eventually(lambda: custody.dropped)
    world.purges["purge-0"].revoke(custody.lease)
    custody.release()
    for name, purge in world.purges.items():
        await world.idle(name)
        changes = purge.changes_of(custody.lease.photo_id)
        assert changes[:3] == [HELD, RELEASED, CONFIRMED]
        assert set(changes[3:]) <= {CONFIRMED}, "each that asks is answered, and everybody hears it"


async def test_reports_for_a_replica_that_stays_away_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_UNSENT", 50)
    await world.attended(*NAMES)
    own = world.hold("purge-1")
    await eventually(lambda: world.purges["purge-1"].changes_of(own.lease.photo_id) == [HELD])
    await eventually(lambda: not world.stream("purge-1")._outbox.unacknowledged)
    world.go_away("purge-1")
    await eventually(lambda: len(world.purges["purge-1"].hellos) == 2)
    held = world.hold("purge-0")  # after the hello that will be answered late
    own.release()
    for _ in range(10):
        await world.pass_photos(20)
        assert len(world.stream("purge-1")._outbox) <= 51
    world.purges["purge-1"].welcome.set()
    await world.attended(*NAMES)
    assert held.lease.photo_id in world.purges["purge-1"].hellos[-1].held_photo_ids
    held.release()
    await world.idle("purge-1")
    assert world.purges["purge-1"].changes_of(own.lease.photo_id) == [HELD, RELEASED]
    assert world.purges["purge-1"].changes_of(held.lease.photo_id)[-1] == RELEASED


async def test_a_replica_that_hears_and_does_not_answer_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stream is up for gRPC; nothing is acknowledged."""
    monkeypatch.setattr(outbox, "MAX_UNSENT", 50)
    monkeypatch.setattr(outbox, "MAX_UNACKNOWLEDGED", 2)
    await world.attended(*NAMES)
    silent = world.purges["purge-1"]
    silent.acknowledging.clear()
    silent.welcome.clear()
    for _ in range(20):
        await world.pass_photos(20)
        assert len(world.stream("purge-1")._outbox) <= 51 + 2 * outbox.MAX_EVENTS
    await world.attended("purge-0")
    silent.acknowledging.set()
    silent.welcome.set()
    await world.attended(*NAMES)
    await world.idle("purge-1")


async def test_photos_of_a_replica_that_does_not_keep_up_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own reports may not be forgotten: so there must be no more of them."""
    monkeypatch.setattr(outbox, "MAX_UNSENT", 50)
    await world.attended(*NAMES)
    monkeypatch.setattr(outbox, "MAX_UNACKNOWLEDGED", 0)  # nothing can be sent
    custodies = [world.hold("purge-1") for _ in range(51)]
    await eventually(lambda: world.stream("purge-1")._heard)
    assert len(world.purges["purge-1"].hellos) > 1, "it listens again, but is as far behind as before"
    with pytest.raises(Unavailable):
        world.hold("purge-1")
    monkeypatch.setattr(outbox, "MAX_UNACKNOWLEDGED", 256)
    for custody in custodies:
        custody.release()
    await world.idle("purge-1")
    for custody in custodies:
        assert world.purges["purge-1"].changes_of(custody.lease.photo_id)[-1] == RELEASED


async def test_two_replicas_of_one_name_are_not_both_attended(world: World) -> None:
    await world.attended(*NAMES)
    world.go_away("purge-1")
    await world.attended("purge-0")
    world.purges["purge-1"].name = "purge-0"
    world.purges["purge-1"].welcome.set()
    await eventually(lambda: len(world.purges["purge-1"].hellos) >= 3)
    assert list(world.book.attended.values()) == ["purge-0"]
    assert world.up("purge-1") == 0


async def test_a_stop_waits_for_no_replica_that_is_away(world: World) -> None:
    await world.attended(*NAMES)
    world.go_away("purge-1")
    await world.attended("purge-0")
    custody = world.hold("purge-0")
    custody.release()
    async with asyncio.timeout(1.5):
        await world.attendance.stop()
    assert world.purges["purge-0"].changes_of(custody.lease.photo_id) == [HELD, RELEASED]


async def test_attempts_are_spread_and_never_far_apart() -> None:
    book = CustodyBook("ingest", HastyClock(), new_metrics())
    channel = grpc.aio.insecure_channel("127.0.0.1:1")
    pauses = []
    for _ in range(20):
        (stream,) = Attendance(book, {"a:1": channel}, instance="i", lockdown_controls=[]).streams
        pauses.append([stream._pause() for _ in range(12)])
    assert len({each[0] for each in pauses}) == 20
    assert all(0.05 <= each[0] <= 0.1 and 0.5 <= each[-1] <= 1.0 for each in pauses)
    await channel.close()


def test_the_wire_knows_every_change() -> None:
    from mesh.custody.stream import _CHANGES

    assert set(_CHANGES) == set(outbox.Change)
    assert set(_CHANGES.values()) == set(pb.CustodyChange.values()) - {pb.CUSTODY_CHANGE_UNSPECIFIED}
