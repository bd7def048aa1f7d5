"""Writing to a stream whose other side may have ended it, without losing what it said.

grpc.aio answers a write that comes too late by overwriting the status that the server had sent with INTERNAL
(grpc#36066; a fix is proposed in grpc#43486), in nine of ten uploads that are refused half-way. Sending one layer
below leaves the status alone.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc._cython import cygrpc  # type: ignore[attr-defined] # a C module without types

_STATUS_SECONDS = 5.0  # how long the reason may come after the failure


async def write(call: Any, message: Message) -> bool:
    """Returns when flow control has room. False when the call is over; its reader learns why."""
    try:
        await call.wait_for_connection()
        if call.done():
            return False
        await call._cython_call.send_serialized_message(message.SerializeToString())
    except cygrpc.InternalError:
        await _await_status(call)
        return False
    except (grpc.RpcError, asyncio.InvalidStateError):
        return False
    return True


async def _await_status(call: Any) -> None:
    """A batch that was rejected on the spot never gets a status (grpc#34148): nobody should wait for it for ever."""
    try:
        await asyncio.wait_for(asyncio.shield(call.code()), _STATUS_SECONDS)
    except TimeoutError:
        call.cancel()
