"""The Python client: one photo in, one picture and its receipt out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from google.protobuf import duration_pb2

from clients.sdk.collection import Collection
from clients.sdk.nonce import commitment, new_nonce
from clients.sdk.rendering import Rendering
from clients.sdk.results import Lease, Picture, Progress, Result, Revoked, Scene
from clients.sdk.source import Photo, known_size
from clients.sdk.wire import as_mesh_errors, bearer, connection_broke, open_channel
from mayfly.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from mesh.errors import Aborted, MeshError, NotFound, Unavailable
from mesh.forgetting.rinse import Rinsing

POLICY_VERSION = "2026-11"
"""The privacy policy that an app which names no other asks its users to consent to."""
_UNARY_SECONDS = 15.0
_RETRY_SECONDS = 1.0  # when the mesh does not say


class MayflyClient:
    """A connection to one gateway, for one user. An async context manager; methods may run side by side.

    address:  HOST:PORT. ca: PEM of the CA to trust, or its file; None: the system's.
    token:    the user's JWT, or a function that returns a fresh one for each call.

    Every method raises the family of mesh/errors.py: Invalid (the photo or an argument was refused), NotFound,
    Unauthenticated, Denied, Exhausted and Unavailable (try again after ``retry_after``), Overdue, Aborted, Internal.
    """

    def __init__(self, address: str, ca: bytes | Path | None, token: str | Callable[[], str]) -> None:
        self._channel = open_channel(address, ca.read_bytes() if isinstance(ca, Path) else ca)
        self._token = token if callable(token) else lambda: token
        self._stub: Any = gateway_pb2_grpc.PhotoServiceStub(self._channel)
        self._rinse = Rinsing(self._channel)
        self._photos = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._channel.close()

    async def render(
        self,
        photo: Photo,
        scene_id: str,
        *,
        caption_id: str = "",
        locale: str = "",
        seed: int = 0,
        ttl: float | None = None,
        policy_version: str = POLICY_VERSION,
        reconnect: bool = True,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_accepted: Callable[[Lease], None] = lambda _: None,
    ) -> Result:
        """Renders one photo. Returns when the mesh has let go of it and signed that.

        ttl:          seconds that the mesh may hold the photo; None: its default.
        reconnect:    when the connection breaks after the upload, wait for the parked picture and collect it.
        on_accepted:  gets the lease as soon as it exists, before a byte of the photo is sent.
        OSError when the photo's file can't be read.
        """
        nonce = new_nonce()
        start = gateway_pb2.RenderStart(
            request_id=str(uuid.uuid4()),
            scene_id=scene_id,
            caption_id=caption_id,
            locale=locale,
            seed=seed,
            ttl=_duration(ttl),
            policy_version=policy_version,
            nonce_commitment=commitment(nonce),
            byte_count=known_size(photo),
        )
        rendering = Rendering(photo, nonce, on_progress, on_accepted)
        try:
            async with self._photo():
                await rendering.run(self._stub.Render(metadata=self._metadata()), start)
        except MeshError as error:
            return await self._after_a_break(rendering, error, reconnect)
        return _result(rendering)

    async def collect(
        self,
        photo_id: str,
        resume_token: str,
        *,
        claimant: bytes = b"",
        on_picture: Callable[[Picture], None] = lambda _: None,
    ) -> Result:
        """The parked picture, once. Unavailable(NOT_PARKED_YET) while it is being made.

        A connection that breaks is taken up again where it broke. The mesh keeps the picture until ``on_picture`` has
        returned, or the lease ends.

        claimant:    16 random bytes; with the same ones a later call may go on after this one has failed.
        on_picture:  gets the whole picture before the mesh lets go of it; what it raises is raised here.
        """
        collection = Collection(self._stub, self._metadata, photo_id, resume_token, claimant)
        async with self._photo():
            picture = await collection.fetch()
        on_picture(picture)
        return Result(photo_id, picture, await collection.confirm(), None, b"")

    async def collect_when_parked(self, lease: Lease, on_picture: Callable[[Picture], None] = lambda _: None) -> Result:
        """Waits for the parked picture for as long as the lease lasts. NotFound when there is none."""
        while True:
            try:
                collected = await self.collect(
                    lease.photo_id, lease.resume_token, claimant=lease.claimant, on_picture=on_picture
                )
                return replace(collected, nonce=lease.nonce)
            except Unavailable as error:
                delay = error.retry_after or _RETRY_SECONDS
                if (lease.expire_time - datetime.now(UTC)).total_seconds() <= delay:
                    raise
                await asyncio.sleep(delay)

    async def revoke(self, photo_id: str) -> bytes | None:
        """Takes one photo back. Returns its receipt bundle, or None while a holder has not confirmed yet."""
        response = await self._unary("Revoke", gateway_pb2.RevokeRequest(photo_id=photo_id))
        return response.receipt.bundle if response.HasField("receipt") else None

    async def revoke_all(self) -> Revoked:
        """Takes everything of this user back."""
        response = await self._unary("RevokeAll", gateway_pb2.RevokeAllRequest())
        return Revoked(tuple(item.bundle for item in response.receipts), tuple(response.pending_photo_ids))

    async def scenes(self, locale: str = "", *, with_previews: bool = False) -> list[Scene]:
        """The catalogue."""
        request = gateway_pb2.ListScenesRequest(locale=locale, with_previews=with_previews)
        response = await self._unary("ListScenes", request)
        return [
            Scene(
                scene.scene_id,
                gateway_pb2.SceneKind.Name(scene.kind).removeprefix("SCENE_KIND_").lower(),
                scene.title,
                {caption.caption_id: caption.text for caption in scene.captions},
                scene.min_side,
                gateway_pb2.SceneCost.Name(scene.cost).removeprefix("SCENE_COST_").lower(),
                scene.preview,
                scene.preview_media_type,
            )
            for scene in response.scenes
        ]

    async def get_receipt(self, photo_id: str, *, wait_for_inclusion: bool = False) -> bytes:
        """The receipt bundle of a photo that has ended. wait_for_inclusion: up to 5 s, for the log's proof."""
        request = gateway_pb2.GetReceiptRequest(photo_id=photo_id, wait_for_inclusion=wait_for_inclusion)
        bundle: bytes = (await self._unary("GetReceipt", request)).receipt.bundle
        return bundle

    async def _after_a_break(self, rendering: Rendering, error: MeshError, reconnect: bool) -> Result:
        if rendering.picture is not None:
            return _result(rendering)  # it is whole, and must not be lost for want of a receipt
        if rendering.lease is None or not rendering.sealed or not reconnect or not connection_broke(error):
            raise error
        try:
            collected = await self.collect_when_parked(rendering.lease)
        except NotFound:
            raise error from None  # the mesh had revoked it: what went wrong first is what there is to say
        return replace(collected, scrubbed=rendering.scrubbed)

    @asynccontextmanager
    async def _photo(self) -> AsyncIterator[None]:
        """Around what a photo or a picture passes by.

        The gateway closes a connection that has no call any more, and with it goes what the connection kept. While
        others of this user's photos are on their way the connection stays, so it is rinsed.
        """
        self._photos += 1
        try:
            with as_mesh_errors():
                yield
        finally:
            self._photos -= 1
            if self._photos:
                await self._rinse()

    async def _unary(self, method: str, request: Any) -> Any:
        with as_mesh_errors():
            return await getattr(self._stub, method)(request, metadata=self._metadata(), timeout=_UNARY_SECONDS)

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return bearer(self._token())


def _result(rendering: Rendering) -> Result:
    assert rendering.lease is not None, "a picture only ever follows a lease"
    return Result(
        rendering.lease.photo_id, _whole(rendering.picture), rendering.receipt, rendering.scrubbed, rendering.nonce
    )


def _whole(picture: Picture | None) -> Picture:
    if picture is None:
        raise Aborted("PICTURE_MALFORMED", "The picture did not arrive whole; collect it again.")
    return picture


def _duration(seconds: float | None) -> duration_pb2.Duration | None:
    if seconds is None:
        return None
    value = duration_pb2.Duration()
    value.FromNanoseconds(round(seconds * 1e9))
    return value
