"""The gateway's stubs: streams to ingest and render as raw frames, and purge's registry as plain calls."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration

from mayfly.gateway.v1 import gateway_pb2
from mayfly.purge.v1 import registry_pb2 as pb
from mayfly.purge.v1 import registry_pb2_grpc
from mayfly.render.v1 import render_pb2, render_pb2_grpc
from mesh import status, streams
from mesh.clock import Clock
from mesh.custody.book import MAX_LEASE_SECONDS, CustodyBook, LeaseRef
from mesh.custody.metadata import to_metadata
from mesh.errors import MeshError, NotFound, Overdue, no_such_photo
from mesh.forgetting.rinse import Rinsing
from services.gateway.asking import Asking, Attempt, Unanswered
from services.gateway.authentication import Caller
from services.gateway.hop import Hop
from services.gateway.replicas import Replicas

_SCRUB = "/mayfly.ingest.v1.IngestService/Scrub"
_RENDER = "/mayfly.render.v1.RenderService/Render"
_OPTIONS = "mayfly-render-options-bin"
_TAG_BYTES = 8
_CLASSES = {"standard": render_pb2.SERVICE_CLASS_STANDARD, "priority": render_pb2.SERVICE_CLASS_PRIORITY}
_QUICK_SECONDS = 5.0
_OWNER_SECONDS = 7.0

_TRANSPORT = (status.PEER_UNAVAILABLE, status.CALL_CANCELLED)

Reply = TypeVar("Reply")
Stub: TypeAlias = "registry_pb2_grpc.RegistryServiceAsyncStub"


class Photos:
    """Opens a photo's streams. Every deadline is the lease's end."""

    def __init__(self, ingest: grpc.aio.Channel, render: grpc.aio.Channel, clock: Clock) -> None:
        self._scrub: Any = ingest.stream_stream(_SCRUB)
        self._render: Any = render.stream_stream(_RENDER)
        self._clock = clock
        self._tag_key = secrets.token_bytes(32)

    def scrub(self, lease: LeaseRef) -> Hop:
        return Hop(self._scrub(metadata=to_metadata(lease), timeout=self._remaining(lease)))

    def render(self, lease: LeaseRef, start: gateway_pb2.RenderStart, caller: Caller) -> Hop:
        options = render_pb2.RenderOptions(
            scene_id=start.scene_id,
            caption_id=start.caption_id,
            locale=start.locale,
            seed=start.seed,
            owner_tag=self._tag(caller.owner),
            service_class=_CLASSES[caller.service_class],
        )
        metadata: list[tuple[str, str | bytes]] = [*to_metadata(lease), (_OPTIONS, options.SerializeToString())]
        return Hop(self._render(metadata=metadata, timeout=self._remaining(lease)))

    def _tag(self, owner: bytes) -> bytes:
        """Lets render be fair to owners: whose it is can't be told from it, and no two gateways make the same one."""
        return hmac.digest(self._tag_key, owner, "sha256")[:_TAG_BYTES]

    def _remaining(self, lease: LeaseRef) -> float:
        return max(0.001, lease.expire_time - self._clock.wall())


class SceneSource:
    """Render's catalogue."""

    def __init__(self, render: grpc.aio.Channel) -> None:
        self._stub = render_pb2_grpc.RenderServiceStub(render)

    async def list(self, known_edition: str) -> render_pb2.ListScenesResponse:
        """Without scenes, if they are those of ``known_edition``."""
        request = render_pb2.ListScenesRequest(known_edition=known_edition)
        return await _ask(self._stub.ListScenes(request, timeout=_QUICK_SECONDS))


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed picture: its lease, how many segments it has, and those that are wanted.

    again: this claimant had claimed it before; some of it may have left.
    """

    lease: LeaseRef
    segment_count: int
    segments: AsyncIterator[bytes]
    again: bool


@dataclass(frozen=True, slots=True)
class Revoked:
    """ended: photo_id → receipt bundle. pending: photo_ids of which a holder hasn't confirmed."""

    ended: Mapping[str, bytes]
    pending: Sequence[str]


@dataclass(frozen=True, slots=True)
class Collection:
    """Who collects what. claimant: 16 random bytes of the client. received: messages that have arrived before."""

    photo_id: str
    owner: bytes
    claim_secret: bytes
    claimant: bytes
    received: int = 0


class Registry:
    """Purge, as the gateway needs it. channels: to each replica, by the address under which the book knows it."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel], book: CustodyBook, clock: Clock) -> None:
        self._stubs = {target: registry_pb2_grpc.RegistryServiceStub(channel) for target, channel in channels.items()}
        self._replicas = Replicas(channels, book, clock)
        self._asking = Asking(self._replicas, clock)
        self._rinses = [Rinsing(channel) for channel in channels.values()]
        self._carried = False  # whether ciphertext has passed since the last rinse
        self.after_passing: Callable[[], None] = lambda: None
        """Called when a parked picture has passed: the connections are to be rinsed."""

    async def grant(
        self,
        *,
        owner: bytes,
        ttl: Duration | None,
        nonce_commitment: bytes,
        claim_verifier: bytes,
        policy_version: str,
    ) -> LeaseRef:
        """A new lease, durable. It is of the replica that it names."""
        request = pb.GrantLeaseRequest(
            owner_digest=owner,
            ttl=ttl,
            nonce_commitment=nonce_commitment,
            claim_verifier=claim_verifier,
            policy_version=policy_version,
        )
        reply = await self._asking.for_grant(self._to(lambda stub, seconds: stub.GrantLease(request, timeout=seconds)))
        self._replicas.learn(reply.photo_id, reply.registry)
        return LeaseRef(reply.photo_id, reply.expire_time.ToNanoseconds() / 1e9, reply.registry)

    async def settle(self, photo_id: str, holders: Sequence[str], *, collected: bool) -> bytes:
        """Ends the lease as delivered, on the upload's own stream or by Collect; the receipt bundle."""
        route = pb.DELIVERY_ROUTE_COLLECT if collected else pb.DELIVERY_ROUTE_STREAM
        return await self._settle(pb.SettleLeaseRequest(photo_id=photo_id, holders=holders, route=route))

    async def revoke(self, photo_id: str, reason: pb.RevocationReason, owner: bytes = b"") -> bytes:
        """Ends the lease early; the receipt bundle, empty while a holder hasn't confirmed."""
        request = pb.RevokeLeaseRequest(photo_id=photo_id, owner_digest=owner, reason=reason)
        asked = self._to(lambda stub, seconds: stub.RevokeLease(request, timeout=seconds))
        return (await self._asking.about(photo_id, asked)).receipt_bundle

    async def park(
        self,
        photo_id: str,
        holders: Sequence[str],
        segments: Callable[[], AsyncGenerator[bytes, None]],
        seconds: float,
    ) -> None:
        """Parks a picture, segment by segment. Raises what ``segments`` raises; nothing is parked then.

        segments: the picture from its first segment, as often as it is asked for, always the same.
        """

        async def attempt(stub: Stub, _: float) -> None:
            await self._park(stub, photo_id, holders, segments(), seconds)

        await self._asking.about(photo_id, self._to(attempt))

    async def _park(
        self, stub: Stub, photo_id: str, holders: Sequence[str], segments: AsyncGenerator[bytes, None], seconds: float
    ) -> None:
        # Written one by one: were gRPC given an iterator, an error in it would come out as a cancellation.
        call = stub.Park(timeout=seconds)

        async def write(request: pb.ParkRequest) -> None:
            await streams.write(call, request.SerializeToString())

        with self._passing():
            try:
                await write(pb.ParkRequest(start=pb.ParkStart(photo_id=photo_id, holders=holders)))
                count = 0
                async with aclosing(segments):
                    async for segment in segments:
                        count += 1
                        await write(pb.ParkRequest(segment=segment))
                await write(pb.ParkRequest(seal=pb.ParkSeal(segment_count=count)))
                await call.done_writing()
                await call
            finally:
                call.cancel()

    async def settle_collected(self, wanted: Collection, holders: Sequence[str]) -> bytes:
        """Ends the lease as collected by this claimant; the receipt bundle. NotFound if it was another, or nobody."""
        shown = pb.CollectedBy(owner_digest=wanted.owner, claim_secret=wanted.claim_secret, claimant=wanted.claimant)
        request = pb.SettleLeaseRequest(
            photo_id=wanted.photo_id, holders=holders, route=pb.DELIVERY_ROUTE_COLLECT, collected_by=shown
        )
        return await self._settle(request)

    async def _settle(self, request: pb.SettleLeaseRequest) -> bytes:
        asked = self._to(lambda stub, seconds: stub.SettleLease(request, timeout=seconds))
        return (await self._asking.about(request.photo_id, asked)).receipt_bundle

    @asynccontextmanager
    async def claim(self, wanted: Collection) -> AsyncIterator[Claim]:
        """Claims a parked picture. NotFound, Unavailable(NOT_PARKED_YET), Invalid(RECEIVED_MESSAGES)."""
        request = pb.ClaimRequest(
            photo_id=wanted.photo_id,
            owner_digest=wanted.owner,
            claim_secret=wanted.claim_secret,
            claimant=wanted.claimant,
            first_segment=wanted.received,
        )

        async def begin(stub: Stub, seconds: float) -> tuple[Any, pb.ClaimResponse]:
            # A phone may be slow: what bounds the stream is the lease's end, which custody keeps.
            call = stub.Claim(request, timeout=MAX_LEASE_SECONDS)
            try:
                return call, await _first(call, seconds)
            except (Unanswered, asyncio.CancelledError):
                self._has_passed()  # what was on its way to a call that nobody reads any more
                raise
            except grpc.RpcError as error:
                if _is_no_answer(status.from_rpc(error)):
                    self._has_passed()  # the connection may have broken in the midst of a segment
                raise

        call, first = await self._asking.about(wanted.photo_id, self._to(begin))
        with self._passing():
            try:

                async def segments() -> AsyncIterator[bytes]:
                    message: object = first
                    while isinstance(message, pb.ClaimResponse):
                        if message.segment:
                            yield message.segment
                        message = await streams.read(call.read())

                home = self._replicas.home(wanted.photo_id)
                lease = LeaseRef(wanted.photo_id, first.expire_time.ToNanoseconds() / 1e9, home)
                yield Claim(lease, first.segment_count, segments(), first.again)
            except grpc.RpcError as error:
                raise status.from_rpc(error) from None
            finally:
                call.cancel()

    async def return_claim(self, wanted: Collection) -> None:
        request = pb.ReturnClaimRequest(
            photo_id=wanted.photo_id, claim_secret=wanted.claim_secret, claimant=wanted.claimant
        )
        asked = self._to(lambda stub, seconds: stub.ReturnClaim(request, timeout=seconds))
        await self._asking.about(wanted.photo_id, asked)

    @contextmanager
    def _passing(self) -> Iterator[None]:
        """A parked picture passes. A rinse that comes meanwhile, for another photo, comes before its last bytes."""
        self._carried = True
        try:
            yield
        finally:
            self._has_passed()

    def _has_passed(self) -> None:
        self._carried = True
        self.after_passing()

    async def rinse(self) -> bool:
        """Rinses the connections if a parked picture has passed since the last time. False: it is to be tried again."""
        carried, self._carried = self._carried, False
        if not carried or all(await asyncio.gather(*(rinse() for rinse in self._rinses))):
            return True
        self._carried = True
        return False

    async def receipt(self, photo_id: str, *, wait_for_inclusion: bool) -> bytes:
        """The receipt bundle of an ended lease. NotFound."""
        request = pb.GetReceiptRequest(photo_id=photo_id, wait_for_inclusion=wait_for_inclusion)
        asked = self._to(lambda stub, seconds: stub.GetReceipt(request, timeout=seconds))
        return (await self._asking.about(photo_id, asked)).receipt_bundle

    async def revoke_owner(self, owner: bytes) -> Revoked:
        """Revokes all that this owner has, whichever replica keeps it. Unavailable unless that is certain."""
        request = pb.RevokeOwnerRequest(owner_digest=owner)
        asked = self._to(lambda stub, seconds: stub.RevokeOwner(request, timeout=seconds))
        reply = await self._asking.any(asked, _OWNER_SECONDS)  # it waits for holders, as every revocation does
        ended = {lease.photo_id: lease.receipt_bundle for lease in reply.ended}
        # That one replica knows of all; those that others keep are taken back where they are.
        for lease in reply.elsewhere:
            self._replicas.learn(lease.photo_id, lease.registry)
        elsewhere = [lease.photo_id for lease in reply.elsewhere]
        bundles = await asyncio.gather(*[self._revoke_elsewhere(photo_id, owner) for photo_id in elsewhere])
        found = {photo_id: bundle for photo_id, bundle in zip(elsewhere, bundles, strict=True) if bundle is not None}
        ended |= {photo_id: bundle for photo_id, bundle in found.items() if bundle}
        pending = [photo_id for photo_id, bundle in found.items() if not bundle]
        return Revoked(ended, sorted({*reply.pending_photo_ids, *pending}))

    async def _revoke_elsewhere(self, photo_id: str, owner: bytes) -> bytes | None:
        """As ``revoke``; None if it has ended meanwhile."""
        try:
            return await self.revoke(photo_id, pb.REVOCATION_REASON_REQUESTED, owner)
        except NotFound:
            return None

    def _to(self, call: Callable[[Stub, float], Awaitable[Reply]]) -> Attempt[Reply]:
        """The call to a replica, its errors typed."""

        async def attempt(target: str, seconds: float) -> Reply:
            try:
                return await call(self._stubs[target], seconds)
            except grpc.RpcError as error:
                meant = status.from_rpc(error)
            # Whether the lease has ended is not known, so nobody is told so.
            if _is_no_answer(meant):
                raise Unanswered
            raise meant

        return attempt


def _is_no_answer(meant: MeshError) -> bool:
    """Whether a replica did not answer in time, or not at all."""
    return isinstance(meant, Overdue) or meant.reason in _TRANSPORT


async def _first(call: Any, seconds: float) -> pb.ClaimResponse:
    """Cancels the call if it doesn't begin well."""
    first: object = None
    try:
        async with asyncio.timeout(seconds):
            first = await streams.read(call.read())
    except TimeoutError:
        raise Unanswered from None
    finally:
        if not isinstance(first, pb.ClaimResponse):
            call.cancel()
    if not isinstance(first, pb.ClaimResponse):
        raise no_such_photo()
    return first


async def _ask(call: Awaitable[Reply]) -> Reply:
    try:
        return await call
    except grpc.RpcError as error:
        meant = status.from_rpc(error)
    if isinstance(meant, Overdue):
        # It did not answer in time. Whether the lease has ended is not known, so nobody is told that it has.
        raise Unanswered
    raise meant
