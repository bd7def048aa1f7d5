"""A converter in its own event loop for the whole folder, and the way through it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import pytest

from services.ingest.isolated.convert import Converter, unmetered
from services.ingest.isolated.passage import Passage
from services.ingest.limits import Limits
from services.ingest.report import Facts
from tests.photos import chunked

LIMITS = Limits(max_pixels=2_000_000)


@dataclass
class Desk:
    """Converts in another thread's event loop, so that tests may be plain functions."""

    converter: Converter
    loop: asyncio.AbstractEventLoop

    def scrub(self, data: bytes, *, size: int = 1 << 16, limits: Limits = LIMITS) -> tuple[bytes, Facts]:
        future: Future[tuple[bytes, Facts]] = asyncio.run_coroutine_threadsafe(
            self._scrub(data, size, limits), self.loop
        )
        return future.result()

    async def _scrub(self, data: bytes, size: int, limits: Limits) -> tuple[bytes, Facts]:
        passage = Passage(limits, self.converter)
        pieces = [bytes(piece) for chunk in chunked(data, size) for piece in passage.feed(chunk)]
        tail, facts = await passage.finish()
        return b"".join([*pieces, *tail]), facts


@pytest.fixture(scope="package")
def desk() -> Iterator[Desk]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(_opened(loop), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(_closed.pop().stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


_closed: list[Converter] = []


async def _opened(loop: asyncio.AbstractEventLoop) -> Desk:
    converter = Converter(LIMITS, metrics=unmetered(), children=2)
    await converter.start()
    _closed.append(converter)
    return Desk(converter, loop)
