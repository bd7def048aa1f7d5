"""Reading and writing streams where grpc.aio (as of grpcio 1.85) would lose something.

Writing: when a server ends a stream that the client still writes on, ``write`` replaces the status that has arrived by
INTERNAL "Internal error from Core" (grpc#36066, open). Refusing a photo in the middle of its upload is exactly that
case, so writes go through here until it is mended there.

Reading: when whoever waits for a message is cancelled, the message that arrives all the same is never freed
(grpc#43360, open): a piece of a photo that stays for as long as the process lives. So reads go through here, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined] # a C module without types

_STATUS_SECONDS = 2.0  # the status is already on its way when a write fails


async def read(message: Awaitable[Any]) -> Any:
    """Awaits ``call.read()`` or ``context.read()``.

    When cancelled, the read itself goes on until the call is over, and nobody gets what it brings. The caller must not
    read that call again, and must see to it that it ends.
    """
    reading = asyncio.ensure_future(message)
    try:
        return await asyncio.shield(reading)
    except asyncio.CancelledError:
        reading.add_done_callback(_look_away)
        raise


def _look_away(reading: asyncio.Future[Any]) -> None:
    if not reading.cancelled():
        reading.exception()


async def write(call: Any, message: bytes) -> None:
    """Writes one serialized message on a client-side stream call; waits for flow control.

    Raises grpc.aio.AioRpcError with the server's own status if the call is over.
    """
    if call.done():
        raise await failure(call)
    await call.wait_for_connection()
    try:
        await call._cython_call.send_serialized_message(message)  # the only way past ``write``
    except cygrpc.InternalError:
        raise await failure(call) from None
    except asyncio.CancelledError:
        call.cancel()
        raise


async def failure(call: Any) -> grpc.aio.AioRpcError:
    """How a call ended that can't be written on any more."""
    try:
        async with asyncio.timeout(_STATUS_SECONDS):
            code = await call.code()
            return grpc.aio.AioRpcError(
                code, await call.initial_metadata(), await call.trailing_metadata(), await call.details()
            )
    except TimeoutError:
        call.cancel()
        return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
