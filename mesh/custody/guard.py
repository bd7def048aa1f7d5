"""Work on a photo, inside its custody: dropped when the lease says so, released when no byte is referenced any more."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mesh.custody.book import Custody, CustodyBook, LeaseRef
from mesh.errors import MeshError, NotFound, Overdue
from mesh.tracing import spans

_AGAIN_SECONDS = 0.25


@asynccontextmanager
async def in_custody(book: CustodyBook, lease: LeaseRef, *, brought: bool = False) -> AsyncIterator[Custody]:
    """Holds ``lease``'s photo around the body. The body must keep the photo in frames of its own (call a function).

    brought: whether the caller has named the lease and brings the photo; one whose lease has ended is counted (R1).

    When the lease ends or is revoked, the body is cancelled, and the reason is raised here as a typed error. It is
    cancelled again and again until it ends: grpc.aio loses a cancellation that meets the end of a call.
    Raises what ``CustodyBook.hold`` raises.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("in_custody needs a task to cancel")
    cancels: list[asyncio.TimerHandle] = []

    def drop(_error: MeshError) -> None:
        _cancel(task, cancels)

    try:
        custody = book.hold(lease, drop)
    except (NotFound, Overdue):
        if brought:
            book.unleased()
        raise
    spans.note(photo_id=lease.photo_id)
    spans.event("held")
    try:
        yield custody
    except asyncio.CancelledError as cancelled:
        _forget(cancelled)
        if custody.dropped is None:
            raise
        raise custody.dropped from None
    except BaseException as error:
        _forget(error)
        raise
    finally:
        for again in cancels:
            again.cancel()
            task.uncancel()
        custody.release()
        spans.event("released")


def _cancel(task: asyncio.Task[object], cancels: list[asyncio.TimerHandle]) -> None:
    """Now and again and again, until each of ``cancels`` is cancelled. A closure would hold itself, and the task."""
    task.cancel()
    cancels.append(asyncio.get_running_loop().call_later(_AGAIN_SECONDS, _cancel, task, cancels))


def _forget(error: BaseException) -> None:
    """Drops the local variables of the frames that the error, and every error behind it, went through.

    They may be the photo. ``raise … from None`` hides the error behind, but keeps it with all its frames.
    """
    known: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in known:
            continue
        known.add(id(found))
        traceback.clear_frames(found.__traceback__)
        waiting += [found.__cause__, found.__context__]
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions
