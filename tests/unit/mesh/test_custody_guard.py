"""Work inside custody: how it is stopped, what is raised, and that nothing of the photo hangs on an error."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from mesh.custody.book import CustodyBook, LeaseRef
from mesh.custody.guard import in_custody
from mesh.errors import Cancelled, Invalid, MeshError, NotFound, Overdue, Unavailable
from mesh.testing.wait import eventually
from tests.unit.serving import Recorder, new_book, new_lease


class Photo(bytearray):
    """Bytes that can be looked for after they should be gone."""


class Work:
    """A task that holds a photo until it is stopped."""

    def __init__(self, book: CustodyBook, lease: LeaseRef) -> None:
        self.book, self.lease = book, lease
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        self.photo: weakref.ref[Photo] | None = None
        self.cancelling_after: int | None = None
        self.task = asyncio.create_task(self.run())

    async def run(self) -> str:
        try:
            async with in_custody(self.book, self.lease):
                await self.hold()
        except MeshError:
            task = asyncio.current_task()
            assert task is not None
            self.cancelling_after = task.cancelling()
            await asyncio.sleep(0)  # a cancellation that was still pending would come here
            raise
        return "done"

    async def hold(self) -> None:
        photo = Photo(b"photo")
        self.photo = weakref.ref(photo)
        self.began.set()
        await self.go_on.wait()

    def said(self) -> list[str]:
        assert isinstance(self.book.listener, Recorder)
        return [event for event, _ in self.book.listener.events]


@pytest.fixture
async def work() -> Work:
    work = Work(new_book(), new_lease())
    await work.began.wait()
    return work


async def test_to_the_end(work: Work) -> None:
    work.go_on.set()
    assert await work.task == "done"
    assert work.said() == ["held", "released"]


async def test_revoked(work: Work) -> None:
    work.book.revoke(work.lease)
    with pytest.raises(Cancelled) as error:
        await work.task
    assert error.value.reason == "PHOTO_REVOKED"
    assert work.cancelling_after == 0, "the cancellation was ours and is taken back"
    assert work.said() == ["held", "released", "confirmed"]
    assert work.photo is not None
    assert work.photo() is None


class Deaf(Work):
    """Work that loses its first cancellations, as an RPC does that ends in that moment."""

    lost = 0

    async def hold(self) -> None:
        while self.lost < 2 and not self.go_on.is_set():
            try:
                await super().hold()
            except asyncio.CancelledError:
                self.lost += 1
        await super().hold()


async def test_a_cancellation_that_is_lost_comes_again() -> None:
    work = Deaf(new_book(), new_lease())
    await work.began.wait()
    work.book.revoke(work.lease)
    with pytest.raises(Cancelled):
        async with asyncio.timeout(5):
            await work.task
    assert (work.lost, work.cancelling_after) == (2, 0)
    assert work.said() == ["held", "released", "confirmed"]
    assert work.photo is not None
    assert work.photo() is None


async def test_whoever_ends_in_spite_of_a_cancellation_is_not_cancelled_afterwards() -> None:
    work = Deaf(new_book(), new_lease())
    await work.began.wait()
    work.book.revoke(work.lease)
    await eventually(lambda: work.lost == 1)
    work.go_on.set()
    assert await work.task == "done"
    assert work.task.cancelling() == 0


async def test_overdue() -> None:
    work = Work(new_book(), new_lease(0.02))
    with pytest.raises(Overdue):
        async with asyncio.timeout(5):
            await work.task
    assert work.cancelling_after == 0
    assert work.said() == ["held", "released"]


async def test_cancelled_by_the_client(work: Work) -> None:
    work.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work.task
    assert work.task.cancelled()
    assert work.said() == ["held", "released"]
    assert work.photo is not None
    assert work.photo() is None


async def test_cancelled_and_revoked_at_once(work: Work) -> None:
    work.task.cancel()
    work.book.revoke(work.lease)
    with pytest.raises((Cancelled, asyncio.CancelledError)):
        await work.task
    assert work.said() == ["held", "released", "confirmed"]
    assert work.cancelling_after in (None, 1), "the client's own cancellation is not taken back"


async def test_a_timeout_around_it_still_works(work: Work) -> None:
    """``asyncio.timeout`` counts cancellations too."""
    book, lease = new_book(), new_lease()

    async def inside() -> None:
        async with asyncio.timeout(30):
            async with in_custody(book, lease):
                book.revoke(lease)
                await asyncio.Event().wait()

    with pytest.raises(Cancelled):
        await inside()
    work.go_on.set()
    await work.task


async def test_dropped_inside_a_task_group() -> None:
    book, lease = new_book(), new_lease()
    ended = []

    async def pump() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    async def carry() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(pump())
            group.create_task(pump())
            await asyncio.sleep(0)
            book.revoke(lease)

    async def whole() -> int:
        try:
            async with in_custody(book, lease):
                await carry()
        except Cancelled:
            task = asyncio.current_task()
            assert task is not None
            return task.cancelling()
        raise AssertionError("not dropped")

    assert await asyncio.create_task(whole()) == 0
    assert len(ended) == 2


@pytest.mark.parametrize("attended", [True, False])
async def test_what_hold_refuses_never_enters(attended: bool) -> None:
    book, lease = new_book(attended=attended), new_lease()
    book.revoke(lease)
    with pytest.raises(NotFound if attended else Unavailable):
        async with in_custody(book, lease):
            raise AssertionError("entered")


def _fail_with(photo: Photo) -> None:
    try:
        copied = photo
        raise KeyError("inner")
    except KeyError as inner:
        assert copied
        raise Invalid("BAD", "Bad.") from inner


def _fail_hidden(photo: Photo) -> None:
    try:
        copied = photo
        raise ValueError(len(copied))
    except ValueError:
        raise Invalid("BAD", "Bad.") from None


async def _pump(photo: Photo, error: Exception) -> None:
    assert photo
    await asyncio.sleep(0)
    raise error


async def _fail_in_a_group(photo: Photo) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(photo, Invalid("BAD", "Bad.")))
            group.create_task(_pump(photo, ValueError()))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


@pytest.mark.parametrize("how", ["plain", "chained", "hidden", "group"])
async def test_an_error_keeps_nothing_of_the_photo(how: str) -> None:
    found: list[weakref.ref[Photo]] = []

    async def body() -> None:
        photo = Photo(b"photo")
        found.append(weakref.ref(photo))
        if how == "chained":
            _fail_with(photo)
        elif how == "hidden":
            _fail_hidden(photo)
        elif how == "group":
            await _fail_in_a_group(photo)
        raise Invalid("BAD", "Bad.")

    book = new_book()
    gc.disable()  # no luck: the frames must let go by themselves
    try:
        with pytest.raises(Invalid) as error:
            async with in_custody(book, new_lease()):
                await body()
        await asyncio.sleep(0)
        assert found[0]() is None
    finally:
        gc.enable()
    assert error.value.reason == "BAD"
    assert book.held == []


async def test_errors_that_lead_to_each_other_end() -> None:
    one, other = Invalid("A", "a"), Invalid("B", "b")
    one.__context__, other.__context__ = other, one
    with pytest.raises(Invalid):
        async with in_custody(new_book(), new_lease()):
            raise one
