"""Work that must not be forgotten, and work that must be outlasted."""

from __future__ import annotations

import asyncio

import pytest

from mesh.errors import NotFound
from mesh.tasks import Tasks, finish, outlast
from mesh.testing.wait import eventually
from tests.unit.serving import CANARY, no_tasks_beside


class Stubborn:
    """Work that cleans up for as long as the test likes, whatever it is told."""

    def __init__(self) -> None:
        self.began, self.let_go = asyncio.Event(), asyncio.Event()
        self.refused = 0
        self.ended = False

    async def run(self) -> str:
        self.began.set()
        while not self.let_go.is_set():
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                self.refused += 1
        self.ended = True
        return CANARY


async def test_outlast_returns_when_the_work_is_over_and_not_before() -> None:
    stubborn = Stubborn()
    work = asyncio.create_task(stubborn.run())
    waiter = asyncio.create_task(outlast(work))
    await stubborn.began.wait()
    assert not waiter.done()
    stubborn.let_go.set()
    await waiter
    assert stubborn.ended


async def test_outlast_survives_any_number_of_cancellations_and_then_raises_one() -> None:
    stubborn = Stubborn()
    work = asyncio.create_task(stubborn.run())
    waiter = asyncio.create_task(outlast(work))
    await stubborn.began.wait()
    for _ in range(5):
        waiter.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiter.done()
        assert not work.done()
    stubborn.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert stubborn.ended
    assert stubborn.refused == 0, "the waiter is cancelled, the work isn't"


async def test_outlast_raises_nothing_of_the_works() -> None:
    async def fail() -> None:
        raise ValueError(CANARY)

    work = asyncio.create_task(fail())
    await outlast(work)
    await outlast(work)
    cancelled = asyncio.create_task(asyncio.Event().wait())
    cancelled.cancel()
    await outlast(cancelled)


async def test_finish_cancels_once_and_waits_for_the_end() -> None:
    stubborn = Stubborn()
    work = asyncio.create_task(stubborn.run())
    await stubborn.began.wait()
    waiter = asyncio.create_task(finish(work))
    await eventually(lambda: stubborn.refused == 1)
    for _ in range(3):
        waiter.cancel()
        await asyncio.sleep(0)
    assert not waiter.done()
    stubborn.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert stubborn.ended


async def test_finish_of_what_is_over() -> None:
    work = asyncio.create_task(asyncio.sleep(0))
    await work
    await finish(work)


async def test_tasks_are_counted_until_they_end() -> None:
    tasks, stubborn = Tasks(), Stubborn()
    tasks.spawn(stubborn.run())
    await stubborn.began.wait()
    assert len(tasks) == 1
    assert not await tasks.wait(0)
    stubborn.let_go.set()
    assert await tasks.wait(5)
    assert len(tasks) == 0


async def test_waiting_covers_what_the_last_tasks_spawn() -> None:
    tasks, stubborn, go_on = Tasks(), Stubborn(), asyncio.Event()

    async def first() -> None:
        await go_on.wait()
        tasks.spawn(stubborn.run())

    tasks.spawn(first())
    waiting = asyncio.create_task(tasks.wait(5))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    go_on.set()
    await stubborn.began.wait()
    assert not waiting.done()
    stubborn.let_go.set()
    assert await waiting
    assert stubborn.ended


async def test_cancel_waits_for_the_clean_up() -> None:
    before = asyncio.all_tasks()
    tasks = Tasks()
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(1)

    for _ in range(3):
        tasks.spawn(work())
    await asyncio.sleep(0)
    await tasks.cancel()
    assert (len(cleaned), len(tasks)) == (3, 0)
    await tasks.cancel()
    await no_tasks_beside(before)


async def test_failures_of_tasks_that_nobody_awaits(capsys: pytest.CaptureFixture[str]) -> None:
    tasks = Tasks()

    async def typed() -> None:
        raise NotFound("PHOTO_NOT_FOUND", "Not here.")

    async def bug() -> None:
        raise KeyError(CANARY)

    tasks.spawn(typed())
    assert await tasks.wait(5)
    assert "task_failed" not in "".join(capsys.readouterr())
    tasks.spawn(bug())
    assert await tasks.wait(5)
    said = "".join(capsys.readouterr())
    assert "task_failed" in said
    assert "KeyError" in said
    assert CANARY not in said
