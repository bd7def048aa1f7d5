"""The mesh as the auditor meets it: the gateway's API as any app would use it, and purge, for its statements."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import grpc
from google.protobuf.duration_pb2 import Duration

from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.gateway.v1 import gateway_pb2_grpc
from mayfly.photo.v1 import photo_pb2
from mayfly.purge.v1 import audit_pb2, audit_pb2_grpc
from mesh import streams
from mesh.channel import open_channel
from mesh.errors import ConfigError, Exhausted, MeshError
from mesh.frames import MAX_FRAME_BYTES
from mesh.identity import Identity
from mesh.status import from_rpc

_UNARY_SECONDS = 20.0
_CHUNK = 64 << 10
_PATIENCE = 30.0  # seconds


class Gateway:
    """An app's way in: TLS and a user's token. Errors are mesh.errors' own.

    ca: PEM of the CA to trust; None: the system's. name: that its certificate must be for; None: the address's host.
    tokens: a file with one token on each line, each another user's; read anew for each photo, since tokens don't last.
    """

    def __init__(self, address: str, ca: bytes | None, tokens: Path, *, name: str | None = None) -> None:
        options: tuple[tuple[str, Any], ...] = (
            *((("grpc.ssl_target_name_override", name),) if name else ()),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", MAX_FRAME_BYTES),
            ("grpc.enable_retries", 0),
        )
        self._channel = grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(ca), options=options)
        self._stub: Any = gateway_pb2_grpc.PhotoServiceStub(self._channel)
        self._tokens = tokens

    async def close(self) -> None:
        await self._channel.close()

    def user(self, number: int) -> User:
        """One of them, the same for the same number. ConfigError when the tokens can't be read."""
        try:
            tokens = self._tokens.read_text("utf-8").split()
        except (OSError, UnicodeDecodeError):
            tokens = []
        if not tokens:
            raise ConfigError("MAYFLY_AUDITOR_TOKEN_FILE: holds no token that can be read")
        return self.user_of(tokens[number % len(tokens)])

    def user_of(self, token: str) -> User:
        return User(self._stub, token)


class User:
    """One user's app."""

    def __init__(self, stub: Any, token: str) -> None:
        self._stub = stub
        self.token = token
        self._metadata = (("authorization", f"Bearer {token}"),)

    async def render(self, scene: str, policy: str, ttl: float) -> Upload:
        """Until the photo may be sent. ttl: seconds. Waits a while where this user has too many photos on their way."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            try:
                return await Upload(self._stub.Render(metadata=self._metadata)).start(scene, policy, ttl)
            except Exhausted as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(error.retry_after or 1.0)

    async def collect(self, photo_id: str, token: str, claimant: bytes) -> bytes:
        """The whole parked picture, confirmed. Raises Unavailable while it is being made."""
        request = pb.CollectRequest(photo_id=photo_id, resume_token=token, claimant=claimant, will_confirm=True)
        picture = bytearray()
        try:
            async for message in self._stub.Collect(request, metadata=self._metadata, timeout=_UNARY_SECONDS):
                picture += message.chunk
        except grpc.RpcError as error:
            raise from_rpc(error) from None
        confirmed = pb.ConfirmCollectedRequest(photo_id=photo_id, resume_token=token, claimant=claimant)
        await self._ask("ConfirmCollected", confirmed)
        return bytes(picture)

    async def revoke(self, photo_id: str) -> None:
        await self._ask("Revoke", pb.RevokeRequest(photo_id=photo_id))

    async def receipt(self, photo_id: str) -> bytes:
        """The bundle. Raises NotFound, or Unavailable, while the lease lives."""
        reply = await self._ask("GetReceipt", pb.GetReceiptRequest(photo_id=photo_id))
        bundle: bytes = reply.receipt.bundle
        return bundle

    async def _ask(self, method: str, request: Any) -> Any:
        try:
            return await getattr(self._stub, method)(request, metadata=self._metadata, timeout=_UNARY_SECONDS)
        except grpc.RpcError as error:
            raise from_rpc(error) from None


class Upload:
    """One Render stream. picture: what has come of it."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.photo_id = ""
        self.resume_token = ""
        self.picture = bytearray()

    async def start(self, scene: str, policy: str, ttl: float) -> Self:
        """Until `accepted`. ttl: seconds."""
        duration = Duration()
        duration.FromNanoseconds(round(ttl * 1e9))
        start = pb.RenderStart(request_id=str(uuid.uuid4()), scene_id=scene, policy_version=policy, ttl=duration)
        await self._write(pb.RenderRequest(start=start))
        accepted = (await self.until("accepted")).accepted
        self.photo_id, self.resume_token = accepted.photo_id, accepted.resume_token
        return self

    async def send(self, data: bytes) -> Self:
        for at in range(0, len(data), _CHUNK):
            await self._write(pb.RenderRequest(chunk=data[at : at + _CHUNK]))
        return self

    async def seal(self, byte_count: int) -> None:
        await self._write(pb.RenderRequest(seal=photo_pb2.PhotoSeal(byte_count=byte_count)))

    async def deliver(self) -> None:
        await self._write(pb.RenderRequest(delivered=pb.Delivered()))

    async def end_upload(self) -> None:
        """The clean end of a stream that has nothing more to say."""
        with contextlib.suppress(asyncio.InvalidStateError, grpc.RpcError):
            await self._call.done_writing()

    def hang_up(self) -> None:
        self._call.cancel()

    async def until(self, *kinds: str) -> pb.RenderResponse:
        """Reads on until a message of one of these kinds. Raises the stream's error; EOFError at its end."""
        while True:
            try:
                message = await self._call.read()
            except grpc.RpcError as error:
                raise from_rpc(error) from None
            if message is grpc.aio.EOF:
                raise EOFError
            response: pb.RenderResponse = message
            self.picture += response.chunk
            if response.WhichOneof("message") in kinds:
                return response

    async def error(self) -> MeshError | None:
        """How the stream fails; None if it ends well."""
        try:
            while True:
                await self.until("receipt")
        except MeshError as error:
            return error
        except EOFError:
            return None

    async def _write(self, message: pb.RenderRequest) -> None:
        # A call that is over swallows what is written; whoever reads it learns why.
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            await streams.write(self._call, message.SerializeToString())


class Purge:
    """Any replica of purge will do. addresses: in the order in which they are asked."""

    def __init__(self, addresses: Sequence[str], identity: Identity) -> None:
        self._channels = [open_channel(address, identity, "purge") for address in addresses]

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def record(self, signed: Callable[[], bytes]) -> int:
        """Puts a signed statement into the log; its index there. Raises what the last replica answered.

        signed: makes an envelope; each replica is given one of its own.
        """
        failure: MeshError | None = None
        for channel in self._channels:
            stub: Any = audit_pb2_grpc.AuditServiceStub(channel)
            request = audit_pb2.RecordAuditRequest(envelope=signed())
            try:
                index: int = (await stub.RecordAudit(request, timeout=_UNARY_SECONDS)).index
            except grpc.RpcError as error:
                failure = from_rpc(error)
            else:
                return index
        assert failure is not None, "there is at least one replica"
        raise failure
