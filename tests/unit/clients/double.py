"""PhotoService with a script instead of a mesh: real gRPC, real TLS, no pixels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from clients.local.pki import PUBLIC, Pki
from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.gateway.v1 import gateway_pb2_grpc
from mayfly.photo.v1 import photo_pb2
from mesh.errors import MeshError, NotFound, Unavailable
from mesh.status import abort

PHOTO_ID = "0123456789abcdef0123456789abcdef"
RESUME_TOKEN = "resume-token"
BUNDLE = b'{"envelope":{}}'
PICTURE = bytes(range(256)) * 5000


PREVIEW = b"\xff\xd8 a small picture"


class PhotoService(gateway_pb2_grpc.PhotoServiceServicer):
    """What happens is set by attributes; what was received can be read from others."""

    def __init__(self) -> None:
        self.refuse_start: MeshError | None = None
        self.refuse_chunk: MeshError | None = None
        self.break_at = ""  # "chunk", "seal", "delivered": the connection ends there
        self.claimed_size: int | None = None  # what the picture's seal says; None: the truth
        self.not_parked_yet = 0  # how many times Collect says so
        self.collect_breaks: list[int] = []  # after so many messages of each Collect the connection ends
        self.confirm_fails: list[MeshError] = []
        self.old_gateway = False  # one that knows neither claimants nor ConfirmCollected
        self.collects: list[pb.CollectRequest] = []
        self.confirmed: list[bytes] = []
        self.max_chunk_bytes = 1 << 20
        self.hold_upload = False  # take no more than a chunk until the client gives up
        self.upload_held = asyncio.Event()
        self.start = pb.RenderStart()
        self.photo = bytearray()
        self.chunk_sizes: list[int] = []
        self.sealed_size = -1
        self.delivered = False
        self.revoked: list[str] = []
        self.tokens: list[str] = []
        self.upload_ended = asyncio.Event()

    async def Render(self, requests: AsyncIterator[pb.RenderRequest], context: Any) -> AsyncIterator[pb.RenderResponse]:
        context.add_done_callback(lambda _: self.upload_ended.set())
        self._note_token(context)
        self.start = (await anext(requests)).start
        if self.refuse_start is not None:
            await abort(context, self.refuse_start)
        accepted = pb.Accepted(
            request_id=self.start.request_id,
            photo_id=PHOTO_ID,
            resume_token=RESUME_TOKEN,
            max_photo_bytes=1 << 25,
            max_chunk_bytes=self.max_chunk_bytes,
        )
        accepted.expire_time.GetCurrentTime()
        accepted.expire_time.seconds += 60
        yield pb.RenderResponse(accepted=accepted)
        await self._take_photo(requests, context)
        removed = [photo_pb2.RemovedMetadata(kind="gps", byte_count=48)]
        scrubbed = photo_pb2.ScrubbedHeader(
            format=photo_pb2.PHOTO_FORMAT_JPEG, width=4, height=3, orientation=1, removed=removed
        )
        yield pb.RenderResponse(scrubbed=scrubbed)
        queued = photo_pb2.Progress(stage=photo_pb2.STAGE_QUEUED, queue_position=2)
        queued.remaining.FromMilliseconds(7500)
        yield pb.RenderResponse(progress=queued)
        progress = photo_pb2.Progress(stage=photo_pb2.STAGE_RENDERING, step="paint", fraction=0.5)
        yield pb.RenderResponse(progress=progress)
        for message in self._picture(pb.RenderResponse):
            yield message
        self.delivered = (await anext(requests)).HasField("delivered")
        await self._maybe_break("delivered", context)
        yield pb.RenderResponse(receipt=_receipt())

    async def Collect(self, request: pb.CollectRequest, context: Any) -> AsyncIterator[pb.CollectResponse]:
        if self.not_parked_yet:
            self.not_parked_yet -= 1
            await abort(context, Unavailable("NOT_PARKED_YET", "Still being made.", retry_after=0.001))
        if (request.photo_id, request.resume_token) != (PHOTO_ID, RESUME_TOKEN):
            await abort(context, NotFound("PHOTO_NOT_FOUND", "There is no such photo."))
        self.collects.append(request)
        picture = self._picture(pb.CollectResponse)[0 if self.old_gateway else request.received_messages :]
        whole = self.collect_breaks.pop(0) if self.collect_breaks else len(picture) + 1
        for message in picture[:whole]:
            yield message
        if whole <= len(picture):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "")
        if self.old_gateway or not request.will_confirm:
            yield pb.CollectResponse(receipt=_receipt())

    async def ConfirmCollected(self, request: pb.ConfirmCollectedRequest, context: Any) -> pb.ConfirmCollectedResponse:
        if self.old_gateway:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
        if self.confirm_fails:
            await abort(context, self.confirm_fails.pop(0))
        self.confirmed.append(request.claimant)
        return pb.ConfirmCollectedResponse(receipt=_receipt())

    async def Revoke(self, request: pb.RevokeRequest, context: Any) -> pb.RevokeResponse:
        if request.photo_id != PHOTO_ID:
            await abort(context, NotFound("PHOTO_NOT_FOUND", "There is no such photo."))
        self.revoked.append(request.photo_id)
        return pb.RevokeResponse(receipt=_receipt())

    async def RevokeAll(self, request: pb.RevokeAllRequest, context: Any) -> pb.RevokeAllResponse:
        return pb.RevokeAllResponse(receipts=[_receipt()], pending_photo_ids=["f" * 32])

    async def ListScenes(self, request: pb.ListScenesRequest, context: Any) -> pb.ListScenesResponse:
        self._note_token(context)
        captions = [pb.Caption(caption_id="six-months", text="six months")]
        milestone = pb.Scene(scene_id="s", kind=pb.SCENE_KIND_MILESTONE, title="T", captions=captions, min_side=256,
                             cost=pb.SCENE_COST_HEAVY)  # fmt: skip
        if request.with_previews:
            milestone.preview, milestone.preview_media_type = PREVIEW, "image/jpeg"
        return pb.ListScenesResponse(scenes=[milestone])

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Any) -> pb.GetReceiptResponse:
        if request.photo_id != PHOTO_ID:
            await abort(context, NotFound("PHOTO_NOT_FOUND", "There is no such photo."))
        return pb.GetReceiptResponse(receipt=_receipt())

    async def _take_photo(self, requests: AsyncIterator[pb.RenderRequest], context: Any) -> None:
        async for request in requests:
            if request.HasField("seal"):
                self.sealed_size = request.seal.byte_count
                await self._maybe_break("seal", context)
                return
            self.photo += request.chunk
            self.chunk_sizes.append(len(request.chunk))
            if self.hold_upload:
                self.upload_held.set()
                await self.upload_ended.wait()
            await self._maybe_break("chunk", context)
            if self.refuse_chunk is not None:
                await abort(context, self.refuse_chunk)

    def _picture(self, message: Any) -> list[Any]:
        picture = photo_pb2.PictureHeader(media_type="image/jpeg", width=8, height=6, byte_count=len(PICTURE))
        size = len(PICTURE) if self.claimed_size is None else self.claimed_size
        return [
            message(header=photo_pb2.PhotoHeader(picture=picture)),
            message(chunk=PICTURE[:600_000]),
            message(chunk=PICTURE[600_000:]),
            message(seal=photo_pb2.PhotoSeal(byte_count=size)),
        ]

    async def _maybe_break(self, where: str, context: Any) -> None:
        if self.break_at == where:
            # No details: what a client sees when the transport fails.
            await context.abort(grpc.StatusCode.UNAVAILABLE, "")

    def _note_token(self, context: Any) -> None:
        self.tokens.append(dict(context.invocation_metadata())["authorization"])


def _receipt() -> pb.Receipt:
    return pb.Receipt(photo_id=PHOTO_ID, bundle=BUNDLE)


async def serve(service: PhotoService, folder: Path) -> tuple[grpc.aio.Server, str, Path]:
    """Starts it with a development certificate; returns the server, its address and the CA's file."""
    pki = Pki(folder)
    pki.ensure()
    pair = (pki.key(PUBLIC).read_bytes(), pki.certificate(PUBLIC).read_bytes())
    server = grpc.aio.server(options=(("grpc.max_receive_message_length", 2 << 20),))
    gateway_pb2_grpc.add_PhotoServiceServicer_to_server(service, server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    return server, f"127.0.0.1:{port}", pki.ca
