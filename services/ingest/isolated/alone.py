"""One conversion outside a service: for the command, and for whoever has a file in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack

from services.ingest.isolated.convert import Converter, unmetered
from services.ingest.isolated.passage import Passage
from services.ingest.limits import Limits
from services.ingest.report import Facts


def convert(data: bytes, limits: Limits) -> tuple[bytes, Facts]:
    """Scrubs a file of any format that ingest takes; starts a worker for it. Must not be called on an event loop.

    Raises Invalid, Unavailable, ConfigError (the kernel can't hold decoders).
    """
    ((scrubbed, facts),) = convert_all([data], limits)
    return scrubbed, facts


def convert_all(files: Iterable[bytes], limits: Limits) -> list[tuple[bytes, Facts]]:
    """Several files, one template for all of them. Raises at the first that is refused."""
    return asyncio.run(_convert_all(files, limits))


async def _convert_all(files: Iterable[bytes], limits: Limits) -> list[tuple[bytes, Facts]]:
    converter = Converter(limits, metrics=unmetered(), children=1)
    async with AsyncExitStack() as stack:
        await converter.start()
        stack.push_async_callback(converter.stop)
        return [await _one(converter, data, limits) for data in files]


async def _one(converter: Converter, data: bytes, limits: Limits) -> tuple[bytes, Facts]:
    passage = Passage(limits, converter)
    pieces = passage.feed(data)
    tail, facts = await passage.finish()
    return b"".join([*pieces, *tail]), facts
