"""Collecting one parked picture: on from where it was cut off, and confirmed only once it is safe."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from clients.sdk.arrival import Arrival
from clients.sdk.results import Picture
from clients.sdk.wire import Metadata, as_mesh_errors, connection_broke
from mayfly.gateway.v1 import gateway_pb2
from mesh.errors import Aborted, MeshError, Unavailable

_ATTEMPTS = 6  # calls in a row that bring nothing new
_PAUSE = 0.2  # seconds before the second; each one waits twice as long as the one before
_CONFIRM_SECONDS = 15.0
CLAIMANT_BYTES = 16


def new_claimant() -> bytes:
    """Random, of one collection: whoever wins with it may call again with it, and nobody else may."""
    return secrets.token_bytes(CLAIMANT_BYTES)


class Collection:
    """What has arrived of one picture. metadata: of each call, made anew."""

    def __init__(
        self, stub: Any, metadata: Callable[[], Metadata], photo_id: str, resume_token: str, claimant: bytes
    ) -> None:
        self._stub = stub
        self._metadata = metadata
        self._photo_id = photo_id
        self._resume_token = resume_token
        self._claimant = claimant or new_claimant()
        self._arrival = Arrival()
        self._receipt: bytes | None = None

    async def fetch(self) -> Picture:
        """The whole picture, over as many connections as it takes. Raises what ended the last one."""
        idle = 0
        while True:
            before = self._arrival.messages
            try:
                with as_mesh_errors():
                    await self._read_on()
                break
            except MeshError as error:
                if self._arrival.picture is not None:
                    break  # it is whole, and must not be lost for want of an end
                idle = 0 if self._arrival.messages > before else idle + 1
                if not self._is_worth_another(error) or idle >= _ATTEMPTS:
                    raise
                await asyncio.sleep(_delay(error, idle))
        if self._arrival.picture is None:
            raise Aborted("PICTURE_MALFORMED", "The picture did not arrive whole; collect it again.")
        return self._arrival.picture

    def _is_worth_another(self, error: MeshError) -> bool:
        """A picture that is still being made is for our caller to wait for; what broke off is ours to mend."""
        began = self._arrival.messages > 0
        return isinstance(error, Unavailable) and (began or error.reason != "NOT_PARKED_YET")

    async def confirm(self) -> bytes | None:
        """Says that the picture is safe. The receipt bundle; None when it could not be had."""
        request = gateway_pb2.ConfirmCollectedRequest(
            photo_id=self._photo_id, resume_token=self._resume_token, claimant=self._claimant
        )
        for attempt in range(_ATTEMPTS):
            if self._receipt is not None:
                break  # a gateway of an older version has settled it by itself
            try:
                with as_mesh_errors():
                    reply = await self._stub.ConfirmCollected(
                        request, metadata=self._metadata(), timeout=_CONFIRM_SECONDS
                    )
                    self._receipt = reply.receipt.bundle
            except Unavailable as error:
                await asyncio.sleep(_delay(error, attempt))
            except MeshError:
                break  # the lease has ended otherwise; the picture is here all the same
        return self._receipt

    async def _read_on(self) -> None:
        request = gateway_pb2.CollectRequest(
            photo_id=self._photo_id,
            resume_token=self._resume_token,
            claimant=self._claimant,
            received_messages=self._arrival.messages,
            will_confirm=True,
        )
        call = self._stub.Collect(request, metadata=self._metadata())
        try:
            async for response in call:
                self._take(response)
        finally:
            call.cancel()

    def _take(self, response: gateway_pb2.CollectResponse) -> None:
        match response.WhichOneof("message"):
            case "header":
                self._arrival.header(response.header)
            case "chunk":
                self._arrival.chunk(response.chunk)
            case "seal":
                self._arrival.seal(response.seal)
            case "receipt":
                self._receipt = response.receipt.bundle


def _delay(error: MeshError, idle: int) -> float:
    """Seconds: what the mesh says, if it could say something."""
    said = None if connection_broke(error) else error.retry_after
    return _PAUSE * 2**idle if said is None else said
