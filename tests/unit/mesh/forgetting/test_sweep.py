"""After a release: a collection, the rinses, and a pause; photos that end together share one."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from mesh.forgetting.sweep import UNWINDING, Sweep
from mesh.testing.wait import eventually
from tests.unit.serving import FakeClock, new_metrics, sample


class Rinses:
    """answers: what comes of the next ones; then all is well."""

    def __init__(self) -> None:
        self.count = 0
        self.answers: list[bool | Exception] = []

    async def __call__(self) -> bool:
        self.count += 1
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer


METRICS = new_metrics("gateway")


class Circle:
    """Freed by a collection only."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
async def swept() -> AsyncIterator[tuple[Sweep, FakeClock, Rinses]]:
    clock, rinses = FakeClock(), Rinses()
    sweep = Sweep(clock, METRICS, "gateway", [rinses])
    await sweep.start()
    yield sweep, clock, rinses
    await sweep.stop()
    gc.unfreeze()


async def passes(clock: FakeClock, seconds: float) -> None:
    """Some time, and whatever is due then."""
    for _ in range(20):
        await asyncio.sleep(0)
    clock.advance(seconds)
    for _ in range(20):
        await asyncio.sleep(0)


async def test_nothing_happens_without_a_photo(swept: tuple[Sweep, FakeClock, Rinses]) -> None:
    _, clock, rinses = swept
    await passes(clock, 100.0)
    assert rinses.count == 0


async def test_a_release_is_followed_by_one_sweep(swept: tuple[Sweep, FakeClock, Rinses]) -> None:
    sweep, clock, rinses = swept
    gc.disable()
    try:
        circle = Circle()
        gone = weakref.ref(circle)
        del circle
        for _ in range(8):
            sweep.soon()
        await passes(clock, UNWINDING / 2)
        assert rinses.count == 0, "calls come apart first"
        await passes(clock, UNWINDING)
        await eventually(lambda: rinses.count == 1)
        assert gone() is None
    finally:
        gc.enable()
    await passes(clock, 100.0)
    assert rinses.count == 1


async def test_a_photo_that_ends_meanwhile_gets_a_sweep_of_its_own(swept: tuple[Sweep, FakeClock, Rinses]) -> None:
    sweep, clock, rinses = swept
    sweep.soon()
    await passes(clock, UNWINDING)
    await eventually(lambda: rinses.count == 1)
    sweep.soon()
    for _ in range(5):
        await passes(clock, 0.2)
    await eventually(lambda: rinses.count == 2)


async def test_it_sweeps_again_after_it_was_quiet(swept: tuple[Sweep, FakeClock, Rinses]) -> None:
    sweep, clock, rinses = swept
    sweep.soon()
    for _ in range(3):
        await passes(clock, 30.0)
    sweep.soon()
    await passes(clock, UNWINDING)
    await eventually(lambda: rinses.count == 2)


@pytest.mark.parametrize("failure", [False, RuntimeError("a bug")], ids=["no_answer", "bug"])
async def test_a_sweep_that_fails_is_tried_again_and_shows(
    swept: tuple[Sweep, FakeClock, Rinses], failure: bool | Exception
) -> None:
    sweep, clock, rinses = swept
    rinses.answers = [failure, failure]
    before = sample(METRICS, "mayfly_sweeps_total", service="gateway", outcome="failed")
    sweep.soon()
    await passes(clock, UNWINDING)
    await eventually(lambda: rinses.count == 1)
    await passes(clock, 0.0)
    assert sample(METRICS, "mayfly_unswept_seconds", service="gateway") > 0
    for _ in range(10):
        await passes(clock, 0.2)
    assert rinses.count == 3
    assert sample(METRICS, "mayfly_sweeps_total", service="gateway", outcome="failed") == before + 2
    assert sample(METRICS, "mayfly_unswept_seconds", service="gateway") == 0


async def test_what_is_not_swept_shows_also_while_a_sweep_goes_on() -> None:
    """A peer that hangs takes a second each time; a scrape in its midst must not read that all is well."""
    clock, metrics, answered = FakeClock(), new_metrics("render"), asyncio.Event()

    async def hanging() -> bool:
        await answered.wait()
        return True

    sweep = Sweep(clock, metrics, "render", [hanging])
    await sweep.start()
    sweep.soon()
    await passes(clock, UNWINDING)
    await passes(clock, 12.0)
    assert sample(metrics, "mayfly_unswept_seconds", service="render") >= 12.0
    sweep.soon()  # this one has gone after the sweep began
    await passes(clock, 1.0)
    answered.set()
    await passes(clock, 0.0)
    assert 0 < sample(metrics, "mayfly_unswept_seconds", service="render") <= 1.0
    for _ in range(5):
        await passes(clock, 0.2)
    assert sample(metrics, "mayfly_unswept_seconds", service="render") == 0
    await sweep.stop()
    gc.unfreeze()
