"""RegistryService and CustodyService on the wire: messages to domain calls and back, nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from mayfly.purge.v1 import custody_pb2, custody_pb2_grpc, registry_pb2_grpc
from mayfly.purge.v1 import registry_pb2 as pb
from mesh.context import ServerContext
from mesh.errors import Aborted, Invalid
from mesh.identity import caller
from mesh.tracing import spans
from services.purge import keys
from services.purge.core import Core
from services.purge.custody import Acknowledge, Command, Event, Session
from services.purge.ending import gone
from services.purge.grants import Wish
from services.purge.hello import Hello, check_holders
from services.purge.ledger import Logged
from services.purge.parked import Claimant

REGISTRY = "mayfly.purge.v1.RegistryService"
CUSTODY = "mayfly.purge.v1.CustodyService"
_ROUTES = {pb.DELIVERY_ROUTE_STREAM: "delivered", pb.DELIVERY_ROUTE_COLLECT: "collected"}
_REASONS = {
    pb.REVOCATION_REASON_REQUESTED: "requested",
    pb.REVOCATION_REASON_UPLOAD_ABORTED: "upload_aborted",
    pb.REVOCATION_REASON_REFUSED: "refused",
    pb.REVOCATION_REASON_ENGINE_FAILED: "engine_failed",
    pb.REVOCATION_REASON_PEER_LOST: "peer_lost",
    pb.REVOCATION_REASON_SHUTDOWN: "shutdown",
}
_CHANGES = {
    custody_pb2.CUSTODY_CHANGE_HELD: "H",
    custody_pb2.CUSTODY_CHANGE_RELEASED: "R",
    custody_pb2.CUSTODY_CHANGE_REVOCATION_CONFIRMED: "C",
}


class RegistryServicer(registry_pb2_grpc.RegistryServiceServicer):
    """See registry.proto."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def GrantLease(self, request: pb.GrantLeaseRequest, context: ServerContext) -> pb.GrantLeaseResponse:
        wish = Wish(
            owner_digest=request.owner_digest,
            claim_verifier=request.claim_verifier,
            nonce_commitment=request.nonce_commitment,
            policy_version=request.policy_version,
            ttl=request.ttl.ToNanoseconds() / 1e9 if request.HasField("ttl") else None,
        )
        grant = await self._core.grants.grant(wish)
        spans.note(photo_id=grant.photo_id)
        return pb.GrantLeaseResponse(
            photo_id=grant.photo_id, expire_time=_timestamp(grant.expire), registry=self._core.registry.home
        )

    async def SettleLease(self, request: pb.SettleLeaseRequest, context: ServerContext) -> pb.SettleLeaseResponse:
        reason = _ROUTES.get(request.route)
        if reason is None:
            raise Invalid("ROUTE_UNSPECIFIED", "Say how the picture was delivered.", field="route")
        holders, photo_id = check_holders(tuple(request.holders)), _photo_id(request.photo_id)
        await self._core.routing.require(photo_id)
        if request.HasField("collected_by"):
            await self._core.parking.require_claimed(photo_id, await self._claimant(request.collected_by))
        logged = await self._core.routing.at_home(
            photo_id, lambda: self._core.endings.settle(photo_id, holders, reason)
        )
        return pb.SettleLeaseResponse(receipt_bundle=await self._bundle(logged))

    async def RevokeLease(self, request: pb.RevokeLeaseRequest, context: ServerContext) -> pb.RevokeLeaseResponse:
        reason = _REASONS.get(request.reason)
        if reason is None:
            raise Invalid("REASON_UNSPECIFIED", "Say why the lease is revoked.", field="reason")
        owners = await self._core.pseudonyms.possible(request.owner_digest) if request.owner_digest else None
        photo_id = _photo_id(request.photo_id)
        logged = await self._core.routing.at_home(photo_id, lambda: self._core.endings.revoke(photo_id, reason, owners))
        return pb.RevokeLeaseResponse(receipt_bundle=await self._bundle(logged) if logged else b"")

    async def RevokeOwner(self, request: pb.RevokeOwnerRequest, context: ServerContext) -> pb.RevokeOwnerResponse:
        revoked = await self._core.revoke_owner(request.owner_digest)
        return pb.RevokeOwnerResponse(
            ended=[pb.EndedLease(photo_id=p, receipt_bundle=bundle) for p, bundle in revoked.here.items() if bundle],
            pending_photo_ids=[p for p, bundle in revoked.here.items() if not bundle],
            elsewhere=[pb.LeaseElsewhere(photo_id=p, registry=home) for p, home in revoked.elsewhere.items()],
        )

    async def Park(self, requests: AsyncIterator[pb.ParkRequest], context: ServerContext) -> pb.ParkResponse:
        first = await anext(requests, pb.ParkRequest())
        if not first.HasField("start"):
            raise Invalid("PARK_START", "The first message says which photo is parked.", field="start")
        holders = check_holders(tuple(first.start.holders))
        photo_id = _photo_id(first.start.photo_id)
        await self._core.routing.require(photo_id)
        berth = await self._core.parking.begin(photo_id, holders)
        async for request in requests:
            if request.HasField("seal"):
                await berth.seal(request.seal.segment_count)
                return pb.ParkResponse()
            await berth.add(request.segment)
        raise Aborted("UNSEALED", "The stream ended without its seal; park it again.")

    async def Claim(self, request: pb.ClaimRequest, context: ServerContext) -> AsyncIterator[pb.ClaimResponse]:
        photo_id, at = _photo_id(request.photo_id), request.first_segment
        await self._core.routing.require(photo_id)
        handout = await self._core.parking.claim(photo_id, await self._claimant(request), at)
        claimed = handout.claimed
        first = pb.ClaimResponse(
            expire_time=_timestamp(claimed.expire), segment_count=claimed.segments, again=claimed.again
        )
        if handout.first is None:
            yield first
        async for segment in self._core.parking.segments(photo_id, handout, at):
            first.segment = segment
            yield first
            first = pb.ClaimResponse()

    async def ReturnClaim(self, request: pb.ReturnClaimRequest, context: ServerContext) -> pb.ReturnClaimResponse:
        photo_id, claimant = _photo_id(request.photo_id), _claimant(request.claimant)
        await self._core.routing.require(photo_id)
        await self._core.parking.return_claim(photo_id, request.claim_secret, claimant)
        return pb.ReturnClaimResponse()

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: ServerContext) -> pb.GetReceiptResponse:
        logged = await self._core.receipt(_photo_id(request.photo_id))
        return pb.GetReceiptResponse(receipt_bundle=await self._bundle(logged, wait=request.wait_for_inclusion))

    async def _claimant(self, shown: pb.ClaimRequest | pb.CollectedBy) -> Claimant:
        owners = await self._core.pseudonyms.possible(shown.owner_digest)
        return Claimant(shown.claim_secret, _claimant(shown.claimant), owners)

    async def _bundle(self, logged: Logged, *, wait: bool = False) -> bytes:
        return await self._core.ledger.bundle(logged, wait=wait)


class CustodyServicer(custody_pb2_grpc.CustodyServiceServicer):
    """See custody.proto."""

    def __init__(self, core: Core, trust_domain: str) -> None:
        self._custody = core.custody
        self._trust_domain = trust_domain

    async def Attend(
        self, reports: AsyncIterator[custody_pb2.CustodyReport], context: ServerContext
    ) -> AsyncIterator[custody_pb2.CustodyCommand]:
        first = await anext(reports, custody_pb2.CustodyReport())
        if not first.HasField("hello"):
            raise Invalid("HELLO_MISSING", "The first report says who speaks.", field="hello")
        session = await self._custody.attend(_hello(caller(context, self._trust_domain), first.hello))

        def leave(_: object) -> None:
            self._custody.leave(session)

        # Also when the call is cancelled and nothing below ever runs again (grpc#42295).
        context.add_done_callback(leave)  # type: ignore[arg-type]  # a protocol in all but name
        up = asyncio.create_task(self._listen(session, reports))
        try:
            async for command in session.commands():
                yield _command(command)
            if up.done():
                up.result()
        finally:
            up.cancel()
            self._custody.leave(session)

    async def _listen(self, session: Session, reports: AsyncIterator[custody_pb2.CustodyReport]) -> None:
        """Until the holder's end; then the other direction ends as well."""
        try:
            async for report in reports:
                if not report.HasField("batch"):
                    raise Invalid("HELLO_TWICE", "After the hello come batches only.", field="hello")
                await self._custody.report(session, report.batch.sequence, [_event(e) for e in report.batch.events])
        finally:
            session.close()


def _photo_id(value: str) -> str:
    """Anything else never existed."""
    if not keys.is_photo_id(value):
        raise gone()
    spans.note(photo_id=value)
    return value


def _claimant(value: bytes) -> str:
    if len(value) != 16:
        raise Invalid("CLAIM_MALFORMED", "A claimant has 16 bytes.", field="claimant", limit=16)
    return value.hex()


def _hello(service: str, hello: custody_pb2.HolderHello) -> Hello:
    return Hello(
        service=service,
        instance=hello.instance,
        epoch=hello.epoch,
        held=tuple(hello.held_photo_ids),
        controls=tuple(hello.lockdown_controls),
        processors=tuple(hello.processors),
    )


def _event(event: custody_pb2.CustodyEvent) -> Event:
    change = _CHANGES.get(event.change)
    if change is None or not keys.is_photo_id(event.photo_id):
        raise Invalid("CUSTODY_MALFORMED", "An event names a photo and what changed.", field="batch.events")
    return Event(event.photo_id, change, event.held_micros, event.registry)


def _command(command: Command) -> custody_pb2.CustodyCommand:
    if isinstance(command, Acknowledge):
        return custody_pb2.CustodyCommand(
            acknowledgement=custody_pb2.Acknowledgement(sequence=command.sequence, registry=command.registry)
        )
    return custody_pb2.CustodyCommand(
        revocation=custody_pb2.Revocation(photo_id=command.photo_id, expire_time=_timestamp(command.expire))
    )


def _timestamp(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMilliseconds(round(seconds * 1000))
    return stamp


def add_to(server: grpc.aio.Server, core: Core, trust_domain: str) -> None:
    """Registers both services."""
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(RegistryServicer(core), server)
    custody_pb2_grpc.add_CustodyServiceServicer_to_server(CustodyServicer(core, trust_domain), server)
