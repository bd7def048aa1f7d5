"""PhotoService on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc

from mayfly.gateway.v1 import gateway_pb2 as pb
from mesh.context import ServerContext
from mesh.custody.book import PHOTO_ID
from mesh.errors import Invalid, Unavailable, no_such_photo
from mesh.tracing import spans
from services.gateway.admission import Admission
from services.gateway.authentication import Authenticator
from services.gateway.client import Client
from services.gateway.collect import Collector, Wish
from services.gateway.journey import Journey, Route
from services.gateway.order import CONSENT, PhotoFirst, parse_start
from services.gateway.peers import Registry
from services.gateway.reasons import REQUESTED
from services.gateway.scenes import Scenes

SERVICE = "mayfly.gateway.v1.PhotoService"
_LARGEST_START = 1024
"""Bytes: more than any order takes."""


class PhotoServicer:
    """Authenticates first, always."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        admission: Admission,
        scenes: Scenes,
        route: Route,
        collector: Collector,
        registry: Registry,
        policy_versions: Sequence[str],
        start_seconds: float,
    ) -> None:
        self._authenticator = authenticator
        self._admission = admission
        self._scenes = scenes
        self._route = route
        self._collector = collector
        self._registry = registry
        self._policy_versions = policy_versions
        self._start_seconds = start_seconds

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers; what carries frames does so as raw bytes."""
        handlers: dict[str, Any] = {
            "Render": grpc.stream_stream_rpc_method_handler(self.render),
            "Collect": grpc.unary_stream_rpc_method_handler(self.collect, pb.CollectRequest.FromString),
            "ConfirmCollected": _unary(self.confirm_collected, pb.ConfirmCollectedRequest, pb.ConfirmCollectedResponse),
            "Revoke": _unary(self.revoke, pb.RevokeRequest, pb.RevokeResponse),
            "RevokeAll": _unary(self.revoke_all, pb.RevokeAllRequest, pb.RevokeAllResponse),
            "ListScenes": _unary(self.list_scenes, pb.ListScenesRequest, pb.ListScenesResponse),
            "GetReceipt": _unary(self.get_receipt, pb.GetReceiptRequest, pb.GetReceiptResponse),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    async def render(self, _messages: object, context: ServerContext) -> None:
        """PhotoService.Render."""
        caller = self._authenticator.caller(context.invocation_metadata())
        client = Client(context)
        start = await self._start(client)
        cost = await self._scenes.check(start.scene_id, start.caption_id)
        ticket = self._admission.admit(caller.owner, start.byte_count)

        async def run() -> None:
            with ticket, spans.span("journey", scene_id=start.scene_id, cost=cost, service_class=caller.service_class):
                await Journey(self._route, client, caller, start, cost).run()

        journey = self._route.tasks.spawn(run())
        try:
            await asyncio.shield(journey)
        except asyncio.CancelledError:
            client.hang_up()
            if journey.cancelled():
                raise Unavailable(
                    "SHUTTING_DOWN", "This gateway is shutting down; try again.", retry_after=1.0
                ) from None
            raise

    async def _start(self, client: Client) -> pb.RenderStart:
        try:
            async with asyncio.timeout(self._start_seconds):
                message = await client.read()
        except TimeoutError:
            raise Invalid("START_MISSING", "The first message must be `start`, at once.", field="start") from None
        try:
            return parse_start(message, self._policy_versions)
        except Invalid as error:
            if isinstance(error, PhotoFirst):
                self._route.book.unleased()
            if isinstance(error, PhotoFirst) or len(message or b"") > _LARGEST_START:
                # It may be a photo, whatever it calls itself: never in custody, and to be swept up after all the same.
                self._route.book.after_release()
            if error.reason == CONSENT:
                self._route.metrics.consent_refused.inc()
            raise

    async def collect(self, request: pb.CollectRequest, context: ServerContext) -> None:
        """PhotoService.Collect."""
        owner = self._authenticator.owner(context.invocation_metadata())
        wish = Wish.parse(
            request.photo_id, request.resume_token, request.claimant, request.received_messages,
            will_confirm=request.will_confirm,
        )  # fmt: skip
        await self._collector.collect(Client(context), owner, wish)

    async def confirm_collected(
        self, request: pb.ConfirmCollectedRequest, context: ServerContext
    ) -> pb.ConfirmCollectedResponse:
        """PhotoService.ConfirmCollected."""
        owner = self._authenticator.owner(context.invocation_metadata())
        wish = Wish.parse(request.photo_id, request.resume_token, request.claimant, will_confirm=True)
        bundle = await self._collector.confirm(owner, wish)
        return pb.ConfirmCollectedResponse(receipt=pb.Receipt(photo_id=wish.photo_id, bundle=bundle))

    async def revoke(self, request: pb.RevokeRequest, context: ServerContext) -> pb.RevokeResponse:
        """PhotoService.Revoke."""
        owner = self._authenticator.owner(context.invocation_metadata())
        photo_id = _known(request.photo_id)
        bundle = await self._registry.revoke(photo_id, REQUESTED, owner)
        return pb.RevokeResponse(receipt=pb.Receipt(photo_id=photo_id, bundle=bundle) if bundle else None)

    async def revoke_all(self, _request: pb.RevokeAllRequest, context: ServerContext) -> pb.RevokeAllResponse:
        """PhotoService.RevokeAll."""
        owner = self._authenticator.owner(context.invocation_metadata())
        revoked = await self._registry.revoke_owner(owner)
        receipts = [pb.Receipt(photo_id=photo_id, bundle=bundle) for photo_id, bundle in revoked.ended.items()]
        return pb.RevokeAllResponse(receipts=receipts, pending_photo_ids=revoked.pending)

    async def list_scenes(self, request: pb.ListScenesRequest, context: ServerContext) -> pb.ListScenesResponse:
        """PhotoService.ListScenes."""
        self._authenticator.owner(context.invocation_metadata())
        scenes = await self._scenes.list(request.locale, with_previews=request.with_previews)
        return pb.ListScenesResponse(scenes=scenes)

    async def get_receipt(self, request: pb.GetReceiptRequest, context: ServerContext) -> pb.GetReceiptResponse:
        """PhotoService.GetReceipt."""
        self._authenticator.owner(context.invocation_metadata())
        photo_id = _known(request.photo_id)
        bundle = await self._registry.receipt(photo_id, wait_for_inclusion=request.wait_for_inclusion)
        return pb.GetReceiptResponse(receipt=pb.Receipt(photo_id=photo_id, bundle=bundle))


def _unary(handler: Any, request: Any, response: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(handler, request.FromString, response.SerializeToString)


def _known(photo_id: str) -> str:
    if not PHOTO_ID.match(photo_id):
        raise no_such_photo()
    return photo_id
