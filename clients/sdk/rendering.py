"""One Render stream from the app's side: start, accepted, the upload, the picture, delivered, the receipt."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC
from typing import Any

import grpc

from clients.sdk.arrival import Arrival
from clients.sdk.collection import new_claimant
from clients.sdk.results import Lease, Picture, Progress, Scrubbed
from clients.sdk.source import Photo, chunks, known_size
from mayfly.gateway.v1 import gateway_pb2
from mayfly.photo.v1 import photo_pb2
from mesh import streams
from mesh.errors import Aborted

RenderCall = Any  # grpc.aio.StreamStreamCall; its stubs disagree with the class about what read() returns
_STAGES = {photo_pb2.STAGE_QUEUED: "queued", photo_pb2.STAGE_RENDERING: "rendering"}


class Rendering:
    """What has come of one stream so far; it stays readable after the stream broke."""

    def __init__(
        self,
        photo: Photo,
        nonce: bytes,
        on_progress: Callable[[Progress], None],
        on_accepted: Callable[[Lease], None],
    ) -> None:
        self.nonce = nonce
        self._photo = photo
        self._on_progress = on_progress
        self._on_accepted = on_accepted
        self._arrival = Arrival()
        self._upload: asyncio.Task[None] | None = None
        self.lease: Lease | None = None
        self.sealed = False
        self.scrubbed: Scrubbed | None = None
        self.receipt: bytes | None = None

    @property
    def picture(self) -> Picture | None:
        return self._arrival.picture

    async def run(self, call: RenderCall, start: gateway_pb2.RenderStart) -> None:
        """Until the receipt. Raises grpc.RpcError, Aborted, or whatever reading the photo raises."""
        try:
            await _write(call, gateway_pb2.RenderRequest(start=start))
            while self.receipt is None:
                response = await self._next(call)
                await self._take(call, response)
        finally:
            if self._upload is not None:
                self._upload.cancel()
            if self.receipt is None:
                call.cancel()

    async def _next(self, call: RenderCall) -> gateway_pb2.RenderResponse:
        """The next message; a failed upload (the file can't be read) ends the wait."""
        read = asyncio.ensure_future(call.read())
        try:
            if self._upload is not None and not self._upload.done():
                await asyncio.wait({read, self._upload}, return_when=asyncio.FIRST_COMPLETED)
            if self._upload is not None and self._upload.done():
                self._upload.result()
            response = await read
        finally:
            read.cancel()
        if response is grpc.aio.EOF:
            raise Aborted("STREAM_INCOMPLETE", "The mesh ended the stream early; send the photo again.")
        message: gateway_pb2.RenderResponse = response
        return message

    async def _take(self, call: RenderCall, response: gateway_pb2.RenderResponse) -> None:
        match response.WhichOneof("message"):
            case "accepted":
                self._accept(response.accepted)
                self._upload = asyncio.create_task(self._send_photo(call, response.accepted.max_chunk_bytes))
            case "scrubbed":
                self.scrubbed = Scrubbed.parse(response.scrubbed)
            case "progress":
                self._on_progress(_progress(response.progress))
            case "header":
                self._arrival.header(response.header)
            case "chunk":
                self._arrival.chunk(response.chunk)
                self._on_progress(Progress("downloading", "", self._arrival.fraction))
            case "seal":
                self._arrival.seal(response.seal)
                await _write(call, gateway_pb2.RenderRequest(delivered=gateway_pb2.Delivered()))
                with contextlib.suppress(asyncio.InvalidStateError, grpc.RpcError):
                    await call.done_writing()
            case "receipt":
                self.receipt = response.receipt.bundle

    def _accept(self, accepted: gateway_pb2.Accepted) -> None:
        expire_time = accepted.expire_time.ToDatetime(tzinfo=UTC)
        self.lease = Lease(accepted.photo_id, expire_time, accepted.resume_token, self.nonce, new_claimant())
        self._on_accepted(self.lease)

    async def _send_photo(self, call: RenderCall, limit: int) -> None:
        """Chunks, then the seal. Each write returns when flow control has room: that is the back-pressure."""
        total, sent = known_size(self._photo), 0
        async for chunk in chunks(self._photo, limit):
            if not await _write(call, gateway_pb2.RenderRequest(chunk=chunk)):
                return
            sent += len(chunk)
            self._on_progress(Progress("uploading", "", min(1.0, sent / total) if total else None))
        seal = photo_pb2.PhotoSeal(byte_count=sent)
        self.sealed = await _write(call, gateway_pb2.RenderRequest(seal=seal))


def _progress(told: photo_pb2.Progress) -> Progress:
    remaining = told.remaining.ToMilliseconds() / 1000 if told.HasField("remaining") else None
    return Progress(_STAGES.get(told.stage, "queued"), told.step, told.fraction, told.queue_position, remaining)


async def _write(call: RenderCall, message: gateway_pb2.RenderRequest) -> bool:
    """Returns when flow control has room. False when the call is over; its reader learns why."""
    try:
        await streams.write(call, message.SerializeToString())
    except (grpc.RpcError, asyncio.InvalidStateError):
        return False
    return True
