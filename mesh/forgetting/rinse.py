"""Rinses connections: TLS and transport keep the last bytes that passed in buffers that live as long as they do.

gRPC's secure endpoint keeps the plaintext of the last record that it wrote (16 KiB) and of what it read last (8 KiB).
Nothing frees them while the connection lives, and a connection of the mesh lives for days; so something without meaning
is sent over it, in both directions. For cancelled calls, too, whose own stream takes no further message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from mesh.context import ServerContext
from mesh.errors import Invalid

SERVICE = "mayfly.mesh.v1.RinseService"
METHOD = f"/{SERVICE}/Rinse"
_BYTES = 32 << 10
# RinseRequest and RinseResponse alike: field 1, LEN, 32,768 as a varint.
MESSAGE = b"\x0a\x80\x80\x02" + bytes(_BYTES)
_SECONDS = 1.0
_MOST = 2 * len(MESSAGE)


class Rinsing:
    """The caller's side: one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._rinse: Any = channel.unary_unary(METHOD)

    async def __call__(self) -> bool:
        """False if the peer didn't answer in time, or could not pass it on: what passed before is still in buffers.

        Where there is no connection there are no buffers, and none is made: it would fail while the peer is down, and
        keep the first photo after its return waiting. A peer that refuses has read what it refused.
        """
        if self._channel.get_state() is not grpc.ChannelConnectivity.READY:
            return True
        try:
            await self._rinse(MESSAGE, timeout=_SECONDS)
        except grpc.RpcError as error:
            return error.code() not in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
        return True


async def _nothing() -> None:
    return


def add_to(server: grpc.aio.Server, onward: Callable[[], Awaitable[object]] = _nothing) -> None:
    """The other side. onward: rinses what this process has passed the same bytes on by; Unavailable if it can't."""

    async def answer(request: bytes, _context: ServerContext) -> bytes:
        if not len(MESSAGE) <= len(request) <= _MOST:  # no more goes out than came in, and not much comes in
            raise Invalid("MALFORMED_RINSE", "A rinse is 32 KiB of padding.", field="padding", limit=len(MESSAGE))
        await onward()
        return MESSAGE

    handler: Any = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Rinse": handler}),))
