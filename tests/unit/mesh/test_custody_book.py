"""Custody by this process's own clock: it ends, whoever is away."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from mesh.custody.book import MAX_LEASE_SECONDS, Custody, CustodyBook, LeaseRef
from mesh.custody.guard import in_custody
from mesh.errors import Cancelled, Internal, Invalid, MeshError, NotFound, Overdue, Unavailable
from tests.unit.serving import PURGE, FakeClock, Recorder, new_book, new_lease, sample


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.book = new_book(clock=self.clock)
        self.dropped: list[MeshError] = []
        self.drop_came = asyncio.Event()

    @property
    def events(self) -> list[str]:
        assert isinstance(self.book.listener, Recorder)
        return [event for event, _ in self.book.listener.events]

    def lease(self, seconds: float = 60.0) -> LeaseRef:
        return new_lease(seconds, self.clock)

    def hold(self, lease: LeaseRef | None = None) -> Custody:
        return self.book.hold(lease or self.lease(), self.drop)

    def drop(self, error: MeshError) -> None:
        self.dropped.append(error)
        self.drop_came.set()

    def gauge(self, name: str) -> float:
        return sample(self.book.metrics, f"mayfly_custody_{name}", service="ingest")

    def dropped_for(self, reason: str) -> float:
        return sample(self.book.metrics, "mayfly_custody_dropped_total", service="ingest", reason=reason)


@pytest.fixture
async def world() -> World:
    return World()


async def test_one_photo(world: World) -> None:
    custody = world.hold()
    assert world.book.held == [custody.lease.photo_id]
    custody.took(100)
    with custody.passing(50):
        assert world.gauge("bytes") == 150
    assert (world.gauge("photos"), world.gauge("bytes")) == (1, 100)
    world.clock.advance(2.5)
    assert world.gauge("oldest_seconds") == 2.5
    custody.release()
    assert world.book.held == []
    assert world.events == ["held", "released"]
    assert (world.gauge("photos"), world.gauge("bytes"), world.gauge("oldest_seconds")) == (0, 0, 0)
    assert (world.gauge("seconds_sum"), world.gauge("seconds_count")) == (2.5, 1)
    assert world.dropped == []


async def test_released_twice(world: World) -> None:
    custody = world.hold()
    custody.took(10)
    custody.release()
    custody.release()
    assert world.events == ["held", "released"]
    assert (world.gauge("photos"), world.gauge("bytes")) == (0, 0)


async def test_what_is_counted_after_the_release_does_not_count(world: World) -> None:
    """A generator that is collected late ends its ``passing`` late."""
    custody = world.hold()
    passing = custody.passing(70)
    passing.__enter__()
    custody.release()
    passing.__exit__(None, None, None)
    assert world.gauge("bytes") == 0
    custody.took(5)
    assert world.gauge("bytes") == 0


async def test_the_oldest_of_several(world: World) -> None:
    first = world.hold()
    world.clock.advance(3)
    second = world.hold()
    world.clock.advance(1)
    assert world.gauge("oldest_seconds") == 4
    first.release()
    assert world.gauge("oldest_seconds") == 1
    second.release()


async def test_a_photo_serves_one_request(world: World) -> None:
    custody = world.hold()
    with pytest.raises(Invalid) as refusal:
        world.hold(custody.lease)
    assert refusal.value.reason == "PHOTO_IN_USE"
    assert world.events == ["held"]
    custody.release()
    world.hold(custody.lease).release()


async def test_nothing_is_taken_while_nobody_listens(world: World) -> None:
    world.book.leave(PURGE)
    with pytest.raises(Unavailable) as refusal:
        world.hold()
    assert refusal.value.retry_after
    assert (world.events, world.gauge("photos")) == ([], 0)


async def test_what_is_held_stays_when_nobody_listens_any_more(world: World) -> None:
    custody = world.hold()
    world.book.leave(PURGE)
    assert world.dropped == []
    custody.release()
    assert world.events == ["held", "released"]


async def test_a_photo_is_taken_only_while_its_own_replica_listens(world: World) -> None:
    world.book.leave(PURGE)
    world.book.attend("a:1", "purge-0")
    world.book.attend("b:1", "purge-1")
    home = dataclasses.replace(world.lease(), registry="purge-1")
    world.hold(home).release()
    world.book.leave("b:1")
    with pytest.raises(Unavailable) as refusal:
        world.hold(home)
    assert refusal.value.reason == "REGISTRY_UNAVAILABLE"
    world.hold(dataclasses.replace(home, registry="purge-0")).release()
    world.hold(dataclasses.replace(home, registry="")).release()
    world.book.leave("a:1")
    world.book.leave("never there:1")
    with pytest.raises(Unavailable):
        world.hold(dataclasses.replace(home, registry=""))
    world.book.attend("b:1", "")  # a replica that doesn't say its name: it is the only one
    world.hold(home).release()


class JumpingClock(FakeClock):
    """Its wall clock can be set; the monotonic one goes on."""

    jumped = 0.0

    def wall(self) -> float:
        return super().wall() + self.jumped


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
async def test_a_wall_clock_that_is_set_changes_nothing_of_what_is_held(jump: float) -> None:
    clock = JumpingClock()
    book = new_book(clock=clock)
    dropped = asyncio.Event()
    custody = book.hold(new_lease(0.05, clock), lambda _: dropped.set())
    clock.jumped = jump
    assert sample(book.metrics, "mayfly_custody_overdue_photos", service="ingest") == 0
    async with asyncio.timeout(5):
        await dropped.wait()
    clock.advance(0.1)
    assert sample(book.metrics, "mayfly_custody_overdue_photos", service="ingest") == 1
    custody.release()


async def test_a_wall_clock_that_was_set_back_lengthens_no_custody_beyond_the_ceiling() -> None:
    clock = JumpingClock()
    book = new_book(clock=clock)
    lease = new_lease(60.0, clock)
    clock.jumped = -86_400.0
    custody = book.hold(lease, lambda _: None)
    assert custody._timer.when() - asyncio.get_running_loop().time() <= MAX_LEASE_SECONDS
    assert custody.ends - clock.monotonic() == MAX_LEASE_SECONDS
    custody.release()


@pytest.mark.parametrize("seconds", [0.0, -0.001, -1e9])
async def test_an_ended_lease(world: World, seconds: float) -> None:
    with pytest.raises(Overdue):
        world.hold(world.lease(seconds))
    assert (world.events, world.gauge("photos")) == ([], 0)


async def test_overdue_by_its_own_timer(world: World) -> None:
    custody = world.hold(world.lease(0.01))
    async with asyncio.timeout(5):
        await world.drop_came.wait()
    assert [type(error) for error in world.dropped] == [Overdue]
    assert isinstance(custody.dropped, Overdue)
    assert world.dropped_for("overdue") == 1
    assert world.book.held, "dropped is not released"
    world.clock.advance(1)
    assert world.gauge("overdue_photos") == 1
    custody.release()
    assert world.gauge("overdue_photos") == 0


async def test_a_released_photo_is_never_overdue(world: World) -> None:
    world.hold(world.lease(0.005)).release()
    late = world.hold(world.lease(0.02))
    async with asyncio.timeout(5):
        await world.drop_came.wait()
    assert len(world.dropped) == 1
    late.release()


async def test_the_timer_of_a_released_photo_keeps_nothing_alive(world: World) -> None:
    custody = world.hold()
    custody.release()
    assert custody._timer.cancelled()


async def test_no_lease_is_believed_for_longer_than_the_ceiling(world: World) -> None:
    custody = world.hold(world.lease(1e12))
    loop = asyncio.get_running_loop()
    assert custody._timer.when() - loop.time() <= MAX_LEASE_SECONDS
    custody.release()


async def test_revoked_while_held(world: World) -> None:
    custody = world.hold()
    world.book.revoke(custody.lease)
    assert [type(error) for error in world.dropped] == [Cancelled]
    assert world.events == ["held"], "confirmed only once it is gone"
    custody.release()
    assert world.events == ["held", "released", "confirmed"]
    assert world.dropped_for("revoked") == 1


async def test_revoked_while_not_held_and_asked_for_afterwards(world: World) -> None:
    lease = world.lease()
    world.book.revoke(lease)
    assert world.events == ["confirmed"]
    with pytest.raises(NotFound):
        world.hold(lease)
    assert world.events == ["confirmed"]


async def test_revoked_twice_drops_and_confirms_once(world: World) -> None:
    custody = world.hold()
    world.book.revoke(custody.lease)
    world.book.revoke(custody.lease)
    custody.release()
    assert len(world.dropped) == 1
    assert world.events == ["held", "released", "confirmed"]
    world.book.revoke(custody.lease)
    assert world.events[-1] == "confirmed"


async def test_a_revoked_photo_is_refused_as_long_as_a_lease_can_last(world: World) -> None:
    lease = dataclasses.replace(world.lease(), expire_time=world.clock.wall() + 3 * MAX_LEASE_SECONDS)
    world.book.revoke(lease)
    world.clock.advance(MAX_LEASE_SECONDS - 1)
    with pytest.raises(NotFound):
        world.hold(lease)
    world.book.revoke(lease)  # again: from now on
    world.clock.advance(MAX_LEASE_SECONDS - 1)
    with pytest.raises(NotFound):
        world.hold(lease)
    world.clock.advance(2)
    world.hold(lease).release()


async def test_revocations_are_forgotten(world: World) -> None:
    for _ in range(100):
        world.book.revoke(world.lease())
    world.clock.advance(MAX_LEASE_SECONDS + 1)
    world.book.revoke(world.lease())
    assert len(world.book._revoked) == 1


async def test_only_the_first_drop_counts(world: World) -> None:
    custody = world.hold()
    custody.drop(Internal("A", "a"), "revoked")
    custody.drop(Internal("B", "b"), "overdue")
    assert [error.reason for error in world.dropped] == ["A"]
    custody.release()
    custody.drop(Internal("C", "c"), "shutdown")
    assert len(world.dropped) == 1
    assert (world.dropped_for("revoked"), world.dropped_for("overdue")) == (1, 0)


async def test_a_book_without_a_listener() -> None:
    book = CustodyBook("ingest", FakeClock(), new_book().metrics)
    book.attend(PURGE)
    lease = new_lease(clock=book.clock)
    custody = book.hold(lease, lambda _: None)
    book.revoke(lease)
    custody.release()
    book.revoke(lease)


@pytest.mark.parametrize("photo_id", ["", "x" * 32, "A" * 32, "a" * 31, "a" * 33, "a" * 32 + "\n"])
def test_not_a_photo_id(photo_id: str) -> None:
    with pytest.raises(Invalid):
        LeaseRef(photo_id, 0)


async def test_what_comes_without_a_live_lease_is_counted(world: World) -> None:
    def unleased() -> float:
        return sample(world.book.metrics, "mayfly_unleased_photos_total", service="ingest")

    async def hold(lease: LeaseRef, *, brought: bool) -> None:
        async with in_custody(world.book, lease, brought=brought):
            pass

    taken_back = world.lease()
    world.book.revoke(taken_back)
    for lease, error in ((taken_back, NotFound), (world.lease(-1), Overdue)):
        before = unleased()
        with pytest.raises(error):
            await hold(lease, brought=True)
        assert unleased() == before + 1
        with pytest.raises(error):
            await hold(lease, brought=False)
        assert unleased() == before + 1, "no photo has come with it"
    custody = world.hold()
    with pytest.raises(Invalid):
        await hold(custody.lease, brought=True)
    assert unleased() == 2, "a lease that lives is one, whatever else is wrong"
