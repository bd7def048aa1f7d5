"""A phone that can stop anywhere on the way: the gateway's API by hand, one message at a time."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any, Self

import grpc
from google.protobuf.duration_pb2 import Duration

from clients.local.mesh import LocalMesh
from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.gateway.v1 import gateway_pb2_grpc
from mayfly.photo.v1 import photo_pb2
from mesh import streams
from mesh.errors import MeshError
from mesh.status import from_rpc

POLICY = "2026-11"


class Phone:
    """One user's app. Errors are mesh.errors' own."""

    def __init__(self, mesh: LocalMesh, subject: str = "parent") -> None:
        credentials = grpc.ssl_channel_credentials(Path(mesh.ca_file).read_bytes())
        options = (("grpc.use_local_subchannel_pool", 1),)
        self.channel = grpc.aio.secure_channel(mesh.gateway_address, credentials, options=options)
        self.stub: Any = gateway_pb2_grpc.PhotoServiceStub(self.channel)
        self.metadata = (("authorization", f"Bearer {mesh.token(subject)}"),)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()

    def collecting(self, photo_id: str, token: str, **fields: Any) -> Any:
        """A Collect call, to be read message by message."""
        request = pb.CollectRequest(photo_id=photo_id, resume_token=token, **fields)
        return self.stub.Collect(request, metadata=self.metadata, timeout=15)

    def render(self) -> Upload:
        return Upload(self, self.stub.Render(metadata=self.metadata))

    async def ask(self, method: str, request: Any) -> Any:
        """A unary call."""
        try:
            return await getattr(self.stub, method)(request, metadata=self.metadata, timeout=15)
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def collect(self, photo_id: str, token: str, **fields: Any) -> list[pb.CollectResponse]:
        """All messages of one Collect."""
        call = self.collecting(photo_id, token, **fields)
        try:
            return [message async for message in call]
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def confirm(self, photo_id: str, token: str, claimant: bytes) -> bytes:
        """A collected picture is safe; the receipt bundle."""
        request = pb.ConfirmCollectedRequest(photo_id=photo_id, resume_token=token, claimant=claimant)
        bundle: bytes = (await self.ask("ConfirmCollected", request)).receipt.bundle
        return bundle


class Upload:
    """One Render stream."""

    def __init__(self, phone: Phone, call: Any) -> None:
        self.phone = phone
        self.call = call
        self.accepted = pb.Accepted()
        self.picture = b""
        self.receipt = b""

    async def start(self, scene: str, *, ttl: float = 30.0, **fields: Any) -> Self:
        """Sends `start`, waits for `accepted`."""
        duration = Duration()
        duration.FromNanoseconds(int(ttl * 1e9))
        start = {"request_id": str(uuid.uuid4()), "policy_version": POLICY, "ttl": duration, **fields}
        await self.write(pb.RenderRequest(start=pb.RenderStart(scene_id=scene, **start)))
        self.accepted = (await self.until("accepted")).accepted
        return self

    async def send(self, data: bytes, chunk: int = 65_536) -> Self:
        for at in range(0, len(data), chunk):
            await self.write(pb.RenderRequest(chunk=data[at : at + chunk]))
        return self

    async def seal(self, byte_count: int) -> Self:
        await self.write(pb.RenderRequest(seal=photo_pb2.PhotoSeal(byte_count=byte_count)))
        return self

    async def upload(self, data: bytes) -> Self:
        await self.send(data)
        return await self.seal(len(data))

    async def write(self, message: pb.RenderRequest) -> None:
        """A call that is over swallows what is written; the reader learns why."""
        try:
            await streams.write(self.call, message.SerializeToString())
        except (grpc.RpcError, asyncio.InvalidStateError):
            return

    async def read(self) -> pb.RenderResponse:
        """The next message; the stream's error if it has one; EOFError at a clean end."""
        try:
            message = await self.call.read()
        except grpc.RpcError as error:
            raise from_rpc(error) from None
        if message is grpc.aio.EOF:
            raise EOFError
        if message.WhichOneof("message") == "chunk":
            self.picture += message.chunk
        if message.WhichOneof("message") == "receipt":
            self.receipt = message.receipt.bundle
        return message

    async def until(self, kind: str) -> pb.RenderResponse:
        """Reads on until a message of this kind."""
        while (message := await self.read()).WhichOneof("message") != kind:
            pass
        return message

    async def deliver(self) -> None:
        await self.write(pb.RenderRequest(delivered=pb.Delivered()))

    def hang_up(self) -> None:
        self.call.cancel()

    async def error(self) -> MeshError:
        """Reads on until the stream fails; returns how."""
        try:
            while True:
                await self.read()
        except MeshError as error:
            return error
        except EOFError:
            raise AssertionError("the stream ended well") from None
