"""Slots: bounded, fair, aware of the lease's end, and one photo's trouble is nobody else's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from mesh.errors import Exhausted, Internal, Invalid
from mesh.testing.wait import eventually
from services.render.catalogue import Catalogue
from services.render.metrics import RenderMetrics
from services.render.picture import Cancelled, Job, Picture, Progress
from services.render.progress import State
from services.render.slots import Order, Slots, Ticket
from tests.unit.serving import FakeClock

SCENE = Catalogue.load().scenes()[0]
PICTURE = Picture(b"picture", "image/jpeg", 1, 1)


class Gated:
    """Each job stays in the engine until it is let through, in whichever order; ``made`` is the order they came in."""

    name = "gated"
    processors: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.made: list[int] = []
        self.inside: list[int] = []
        self.gates: dict[int, threading.Event] = {}
        self.fails: dict[int, Exception] = {}

    def start(self) -> None:
        """Nothing to load."""

    def ready(self) -> bool:
        return True

    def gate(self, number: int) -> threading.Event:
        return self.gates.setdefault(number, threading.Event())

    def render(self, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        self.made.append(job.seed)
        self.inside.append(job.seed)
        progress("backdrop", 0.5)
        assert self.gate(job.seed).wait(15)
        self.inside.remove(job.seed)
        if job.seed in self.fails:
            raise self.fails[job.seed]
        return PICTURE

    def close(self) -> None:
        """Nothing to let go of."""


class World:
    def __init__(self, slots: int, queue: int) -> None:
        self.engine, self.clock = Gated(), FakeClock()
        self.registry = CollectorRegistry()
        self.slots = Slots(
            self.engine, slots=slots, queue=queue, metrics=RenderMetrics(self.registry), clock=self.clock
        )
        self.told: dict[int, list[State]] = {}
        self.tasks: dict[int, asyncio.Task[Picture]] = {}

    def admit(self, owner: bytes = b"a", service_class: str = "standard", within: float = 1000) -> Ticket:
        return self.slots.admit(Order(SCENE, owner, service_class, self.clock.monotonic() + within))

    def send(self, number: int, owner: bytes = b"a", service_class: str = "standard", within: float = 1000) -> None:
        told = self.told.setdefault(number, [])
        ticket = self.admit(owner, service_class, within)

        async def work() -> Picture:
            with ticket:
                return await ticket.render(Job([], "", 1, 1, 1, SCENE.id, seed=number), told.append)

        self.tasks[number] = asyncio.create_task(work())

    async def inside(self, *numbers: int) -> None:
        await eventually(lambda: sorted(self.engine.inside) == sorted(numbers))

    async def finish(self, number: int) -> None:
        self.engine.gate(number).set()
        assert await self.tasks[number] is PICTURE

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"mayfly_render_{name}", labels)

    def takes(self, seconds: float) -> None:
        """Such scenes are known to take so long."""
        self.slots._durations.learn(SCENE, seconds)


@asynccontextmanager
async def world(slots: int = 1, queue: int = 8) -> AsyncIterator[World]:
    made = World(slots, queue)
    await made.slots.start()
    try:
        yield made
    finally:
        await asyncio.sleep(0)  # a task that never ran would not give its place back
        for task in made.tasks.values():
            task.cancel()
        for number in made.tasks:
            made.engine.gate(number).set()
        await asyncio.gather(*made.tasks.values(), return_exceptions=True)
        await made.slots.stop()
    assert made.slots._admitted == 0
    assert (len(made.slots._queue), made.slots._waiting, made.slots._running) == (0, {}, {})
    assert made.value("slots_used") == 0
    for name in ("standard", "priority"):
        assert made.value("queue_photos", service_class=name) == 0


async def test_places_are_taken_before_the_photo_comes_and_bounded() -> None:
    async with world(slots=1, queue=1) as here:
        with here.admit(), here.admit():
            with pytest.raises(Exhausted, match="RENDER_QUEUE_FULL") as refusal:
                here.admit()
            assert refusal.value.retry_after == 1.0
        with here.admit():
            pass
        assert here.value("refused_total", reason="RENDER_QUEUE_FULL") == 1


async def test_the_retry_is_when_a_slot_can_be_expected_to_be_free() -> None:
    async with world(slots=1, queue=0) as here:
        here.takes(20)
        here.send(1)
        await here.inside(1)
        here.clock.advance(5)
        with pytest.raises(Exhausted, match="RENDER_QUEUE_FULL") as refusal:
            here.admit()
        assert refusal.value.retry_after == pytest.approx(15)


async def test_an_owner_who_sends_many_doesnt_keep_another_waiting() -> None:
    async with world() as here:
        here.takes(10)
        for number in range(1, 5):
            here.send(number, b"a")
        await here.inside(1)
        here.send(5, b"b")
        await here.finish(1)
        await here.inside(5)
        await here.finish(5)
        await here.inside(2)


async def test_priority_has_the_larger_share_and_not_everything() -> None:
    async with world(queue=40) as here:
        here.takes(10)
        here.send(0, b"z")
        await here.inside(0)
        for number in range(1, 6):
            here.send(number, b"s", "standard")
        for number in range(11, 21):
            here.send(number, b"p", "priority")
        for number in range(21):
            here.engine.gate(number).set()
        await asyncio.gather(*here.tasks.values())
        first = here.engine.made[1:11]
        assert 7 <= sum(number > 10 for number in first) <= 9, first
        assert here.value("queue_wait_seconds_count", service_class="priority") == 10


async def test_those_who_wait_are_told_their_place_and_time() -> None:
    async with world() as here:
        here.takes(10)
        for number, owner in ((1, b"a"), (2, b"b"), (3, b"c")):
            here.send(number, owner)
        await here.inside(1)
        await eventually(lambda: here.told[2] and here.told[3])
        assert here.told[2] == [State(position=1, seconds=20.0)]
        assert here.told[3] == [State(position=2, seconds=30.0)]
        assert here.told[1] == [State("backdrop", 0.5, seconds=5.0)]
        here.clock.advance(4)
        await eventually(lambda: here.told[3][-1] == State(position=2, seconds=26.0))
        await here.finish(1)
        await here.inside(2)
        here.clock.advance(1)
        await eventually(lambda: here.told[3][-1].position == 1)


async def test_a_photo_that_cant_be_done_in_its_lease_is_refused_at_once() -> None:
    async with world() as here:
        here.takes(10)
        with pytest.raises(Exhausted, match="RENDER_TOO_LATE"):
            here.admit(within=9)
        here.send(1, within=11)
        await here.inside(1)
        with pytest.raises(Exhausted, match="RENDER_TOO_LATE") as refusal:
            here.admit(b"b", within=19)
        assert refusal.value.retry_after == pytest.approx(10)
        assert here.value("refused_total", reason="RENDER_TOO_LATE") == 2
        here.send(2, b"b", within=21)
        assert here.engine.made == [1]


async def test_a_photo_that_others_push_back_is_refused_as_soon_as_it_is_plain() -> None:
    async with world() as here:
        here.takes(10)
        here.send(1, b"a")
        await here.inside(1)
        here.send(2, b"b", within=25)
        await eventually(lambda: bool(here.told[2]))
        here.clock.advance(16)  # the first one takes longer than such pictures take
        with pytest.raises(Exhausted, match="RENDER_TOO_LATE"):
            await here.tasks[2]
        here.send(3, b"c")
        await here.finish(1)
        await here.inside(3)


async def test_nothing_is_refused_while_nothing_is_known() -> None:
    async with world() as here:
        here.send(1, within=0.5)
        await here.inside(1)
        here.send(2, within=0.5)
        await eventually(lambda: here.told[2] == [State(position=1, seconds=None)])


async def test_who_leaves_the_queue_leaves_nothing() -> None:
    async with world() as here:
        here.send(1)
        await here.inside(1)
        for number in (2, 3):
            here.send(number)
        await eventually(lambda: bool(here.told[3]))
        here.tasks[2].cancel()
        await asyncio.wait([here.tasks[2]])
        await here.finish(1)
        await here.inside(3)
        assert here.engine.made == [1, 3]


async def test_who_leaves_just_as_its_turn_comes_gives_the_slot_back() -> None:
    async with world() as here:
        here.send(1)
        await here.inside(1)
        for number in (2, 3):
            here.send(number)
        await eventually(lambda: bool(here.told[3]))
        give_back = here.slots.give_back

        def give_back_and_cancel(ticket: Ticket) -> None:
            give_back(ticket)  # now it is the second one's turn, of which its task doesn't know yet
            here.tasks[2].cancel()

        here.slots.give_back = give_back_and_cancel  # type: ignore[method-assign]
        await here.finish(1)
        await here.inside(3)
        assert here.engine.made == [1, 3]


@pytest.mark.parametrize(
    ("raised", "told"), [(lambda: ValueError("secret"), Internal), (lambda: Invalid("PHOTO_TOO_SMALL", "x"), Invalid)]
)
async def test_one_photo_s_failure_touches_no_other(raised: Callable[[], Exception], told: type[Exception]) -> None:
    async with world(slots=2) as here:
        here.engine.fails[1] = raised()
        for number in (1, 2, 3):
            here.send(number, bytes([number]))
        await here.inside(1, 2)
        here.engine.gate(1).set()
        with pytest.raises(told) as error:
            await here.tasks[1]
        assert "secret" not in str(error.value)
        await here.inside(2, 3)
        await here.finish(2)
        await here.finish(3)
        assert here.slots.seconds(SCENE) > 0


async def test_a_cancelled_render_keeps_its_slot_until_its_thread_has_ended() -> None:
    async with world() as here:
        here.send(1)
        await here.inside(1)
        here.send(2)
        here.tasks[1].cancel()
        await eventually(lambda: bool(here.told[2]))
        assert here.engine.inside == [1]
        here.engine.gate(1).set()
        await here.inside(2)


async def test_the_cold_start_is_measured() -> None:
    async with world() as here:
        assert (here.value("cold_start_seconds") or 0) > 0
