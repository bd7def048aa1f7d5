"""One photo's stream to one peer, frames as raw bytes; a failure is the peer's own typed error."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from mesh import status, streams
from mesh.custody.metadata import holder_of
from mesh.errors import Internal, MeshError


class Hop:
    """Wraps a call that was made with identity serializers."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def write(self, frame: bytes) -> None:
        """Waits until the peer has room (back-pressure)."""
        try:
            await streams.write(self._call, frame)
        except grpc.RpcError as error:
            raise _meaning(error) from None

    async def read(self) -> bytes | None:
        """The next frame; None when the peer has ended the stream well."""
        try:
            frame = await streams.read(self._call.read())
        except grpc.RpcError as error:
            raise status.from_rpc(error) from None
        if isinstance(frame, bytes):
            return frame
        if await self._call.code() is not grpc.StatusCode.OK:
            raise await self._failure()
        return None

    async def read_frame(self) -> bytes:
        """As ``read``, where the peer must not end yet."""
        frame = await self.read()
        if frame is None:
            raise Internal("INTERNAL", "Internal error.")
        return frame

    async def close(self) -> None:
        """Half-closes, and waits for the peer to end the stream well."""
        await self.half_close()
        while await self.read() is not None:
            pass

    async def half_close(self) -> None:
        """Nothing more will be written."""
        try:
            await self._call.done_writing()
        except (grpc.RpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
            raise await self._failure() from None

    async def holder(self) -> str:
        """Which process answers; Internal if it doesn't say so."""
        try:
            holder = holder_of(await self._call.initial_metadata())
        except grpc.RpcError as error:
            raise status.from_rpc(error) from None
        if holder is None:
            raise await self._failure()
        return holder

    def cancel(self) -> None:
        """Ends the call if it hasn't ended."""
        self._call.cancel()

    async def _failure(self) -> MeshError:
        return _meaning(await streams.failure(self._call))


def _meaning(error: grpc.RpcError) -> MeshError:
    """A peer that ended well where it must not is a bug of ours."""
    if error.code() is grpc.StatusCode.OK:
        return Internal("INTERNAL", "Internal error.")
    return status.from_rpc(error)
