"""A gateway for real, between a real ingest, a real render with an engine that a test steps, and a registry that keeps
leases in a dictionary. Everything over mutual TLS, in this process.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.purge.v1 import registry_pb2, registry_pb2_grpc
from mesh import status, streams
from mesh.attestation import AttestationVerifier, Attester
from mesh.clock import SystemClock
from mesh.custody.book import CustodyBook
from mesh.errors import Aborted, MeshError, no_such_photo
from mesh.middleware import chain
from mesh.server import FLOW_CONTROL
from mesh.tasks import Tasks
from mesh.testing.wait import eventually
from services.gateway.admission import Admission
from services.gateway.authentication import Authenticator
from services.gateway.collect import Collector
from services.gateway.journey import Route
from services.gateway.metrics import COSTS, GatewayMetrics
from services.gateway.peers import Photos, Registry, SceneSource
from services.gateway.resume import claim_verifier
from services.gateway.scenes import Scenes
from services.gateway.servicer import PhotoServicer
from services.ingest.isolated.convert import Converter, unmetered
from services.ingest.limits import Limits
from services.ingest.metrics import IngestMetrics
from services.ingest.servicer import IngestServicer
from services.ingest.wiring import ALLOWED as INGEST_ALLOWED
from services.render.catalogue import Catalogue
from services.render.metrics import RenderMetrics
from services.render.picture import Job, Picture
from services.render.picture import Progress as Tell
from services.render.servicer import RenderServicer
from services.render.slots import Slots
from services.render.wiring import ALLOWED as RENDER_ALLOWED
from tests.unit.serving import PURGE, authority, calling, identity, new_book, no_tasks_beside, sample, served

ISSUER = "https://sign-in.test"
REQUEST_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
BUNDLE = b'{"a": "receipt"}'
CATALOGUE = Catalogue.load()
KEY = Ed25519PrivateKey.generate()
SERVICES = ("gateway", "ingest", "render")


@dataclass
class Lease:
    """What the registry knows of one photo."""

    owner: bytes
    verifier: bytes
    expire_time: float
    state: str = "live"
    reason: int = 0
    holders: list[str] = field(default_factory=list)
    segments: list[bytes] = field(default_factory=list)
    claimant: bytes = b""
    repeated: bool = False


class Purge(registry_pb2_grpc.RegistryServiceServicer):
    """The registry with a dictionary; ``fail`` maps a method's name to the error that it raises."""

    def __init__(self) -> None:
        self.leases: dict[str, Lease] = {}
        self.fail: dict[str, MeshError] = {}
        self.failed: Counter[str] = Counter()
        self.ttl = 60.0
        self.settled_route = 0
        self.returned = 0
        self.parking_segments_until_failure: int | None = None
        self.at_park: Callable[[], None] = lambda: None
        self.granting = asyncio.Event()
        self.granting.set()

    async def GrantLease(self, request: Any, context: Any) -> Any:
        await self.granting.wait()
        await self._maybe_fail("GrantLease", context)
        photo_id = secrets.token_hex(16)
        ttl = request.ttl.ToNanoseconds() / 1e9 if request.HasField("ttl") else self.ttl
        self.leases[photo_id] = Lease(request.owner_digest, request.claim_verifier, time.time() + ttl)
        reply = registry_pb2.GrantLeaseResponse(photo_id=photo_id)
        reply.expire_time.FromNanoseconds(int(self.leases[photo_id].expire_time * 1e9))
        return reply

    async def SettleLease(self, request: Any, context: Any) -> Any:
        await self._maybe_fail("SettleLease", context)
        if request.HasField("collected_by"):
            await self._require_claimant(request, context)
            if self.leases[request.photo_id].state == "settled":
                return registry_pb2.SettleLeaseResponse(receipt_bundle=BUNDLE)
        lease = await self._live(request.photo_id, context, "live", "claimed")
        lease.state, lease.holders, self.settled_route = "settled", list(request.holders), request.route
        return registry_pb2.SettleLeaseResponse(receipt_bundle=BUNDLE)

    async def RevokeLease(self, request: Any, context: Any) -> Any:
        await self._maybe_fail("RevokeLease", context)
        lease = await self._live(request.photo_id, context, "live", "parked", "claimed")
        lease.state, lease.reason = "revoked", request.reason
        return registry_pb2.RevokeLeaseResponse(receipt_bundle=BUNDLE)

    async def Park(self, requests: Any, context: Any) -> Any:
        start = (await context.read()).start
        self.at_park()
        await self._maybe_fail("Park", context)
        lease = await self._live(start.photo_id, context, "live")
        segments: list[bytes] = []
        while isinstance(request := await context.read(), registry_pb2.ParkRequest) and not request.HasField("seal"):
            segments.append(request.segment)
            if len(segments) == self.parking_segments_until_failure:
                await status.abort(context, no_such_photo())
        if request is grpc.aio.EOF or request.seal.segment_count != len(segments):
            raise Aborted("PARK_UNSEALED", "The picture ended without its seal.")
        lease.segments, lease.state, lease.holders = segments, "parked", list(start.holders)
        return registry_pb2.ParkResponse()

    async def Claim(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self._maybe_fail("Claim", context)
        lease = await self._live(request.photo_id, context, "parked", "claimed")
        if lease.owner != request.owner_digest or lease.verifier != claim_verifier(request.claim_secret):
            await status.abort(context, no_such_photo())
        again = lease.state == "claimed"
        if again and lease.claimant != request.claimant:
            await status.abort(context, no_such_photo())
        lease.state, lease.claimant, lease.repeated = "claimed", request.claimant, again
        first = registry_pb2.ClaimResponse(segment_count=len(lease.segments), again=again)
        first.expire_time.FromNanoseconds(int(lease.expire_time * 1e9))
        for segment in lease.segments[request.first_segment :] or [b""]:
            first.segment = segment
            yield first
            first = registry_pb2.ClaimResponse()

    async def ReturnClaim(self, request: Any, context: Any) -> Any:
        lease = await self._live(request.photo_id, context, "claimed")
        if lease.claimant != request.claimant or lease.repeated:
            await status.abort(context, no_such_photo())
        lease.state = "parked"
        self.returned += 1
        return registry_pb2.ReturnClaimResponse()

    async def _require_claimant(self, request: Any, context: Any) -> None:
        lease, shown = self.leases[request.photo_id], request.collected_by
        if (lease.claimant, lease.verifier) != (shown.claimant, claim_verifier(shown.claim_secret)):
            await status.abort(context, no_such_photo())

    async def _maybe_fail(self, method: str, context: Any) -> None:
        if method in self.fail:
            self.failed[method] += 1
            await status.abort(context, self.fail[method])

    async def _live(self, photo_id: str, context: Any, *states: str) -> Lease:
        lease = self.leases.get(photo_id)
        if lease is None or lease.state not in states:
            await status.abort(context, no_such_photo())
            raise AssertionError
        return lease


class Engine:
    """Makes ``picture`` of anything, once ``may_finish`` is set."""

    name = "test"

    def __init__(self) -> None:
        self.may_finish = threading.Event()
        self.may_finish.set()
        self.picture = Picture(secrets.token_bytes(1_700_000), "image/jpeg", 64, 64)
        self.began = 0
        self.error: Exception | None = None

    def start(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to let go of."""

    def ready(self) -> bool:
        return True

    def render(self, job: Job, progress: Tell, cancelled: Callable[[], bool]) -> Picture:
        progress("decode", 0.0)
        self.began += 1
        assert self.may_finish.wait(15)
        if self.error is not None:
            raise self.error
        progress("encode", 1.0)
        return self.picture


class World:
    """All of it, and what a test looks at."""

    def __init__(self, folder: Path, *, max_per_owner: int, delivery_seconds: float) -> None:
        self.books: dict[str, CustodyBook] = {service: new_book(service) for service in SERVICES}
        self.purge, self.engine = Purge(), Engine()
        self.tasks = Tasks()
        self.max_per_owner, self.delivery_seconds = max_per_owner, delivery_seconds
        self.channel: Any = None
        self.address = ""
        self._key_file = folder / "issuer.pem"
        self._key_file.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self.start_seconds = 5.0
        self.metrics = GatewayMetrics(self.books["gateway"].metrics.registry)

    def ingest(self) -> IngestServicer:
        book = self.books["ingest"]
        return IngestServicer(
            book=book,
            holder="ingest/ingest-0/00",
            limits=Limits(),
            converter=Converter(Limits(), metrics=unmetered()),  # never started: these photos need none
            attester=Attester(identity("ingest")),
            metrics=IngestMetrics(book.metrics.registry),
        )

    def render(self, slots: Slots) -> RenderServicer:
        return RenderServicer(
            book=self.books["render"],
            holder="render/render-0/00",
            catalogue=CATALOGUE,
            slots=slots,
            verifier=AttestationVerifier(identity("render"), "ingest", SystemClock()),
            max_bytes=64 << 20,
        )

    def gateway(self, ingest: Any, render: Any, purge: Any) -> PhotoServicer:
        book, clock = self.books["gateway"], SystemClock()
        registry = Registry({PURGE: purge}, book, clock)
        holder = "gateway/gateway-0/00"
        route = Route(
            book=book,
            holder=holder,
            registry=registry,
            photos=Photos(ingest, render, clock),
            clock=clock,
            tasks=self.tasks,
            metrics=self.metrics,
            delivery_seconds=self.delivery_seconds,
            max_photo_bytes=32 << 20,
        )
        return PhotoServicer(
            authenticator=Authenticator(self._key_file, issuer=ISSUER, audience="mayfly"),
            admission=Admission(
                max_photos=8, max_per_owner=self.max_per_owner, max_photo_bytes=32 << 20, metrics=self.metrics
            ),
            scenes=Scenes(SceneSource(render), clock),
            route=route,
            collector=Collector(book=book, holder=holder, registry=registry, tasks=self.tasks, clock=clock),
            registry=registry,
            policy_versions=("2026-11",),
            start_seconds=self.start_seconds,
        )

    # --- what tests do and see ---

    def phone(self, user: str = "user-1") -> Phone:
        return Phone(self, user)

    @property
    def lease(self) -> Lease:
        """The only one."""
        (lease,) = self.purge.leases.values()
        return lease

    def held(self, service: str) -> int:
        return len(self.books[service].held)

    async def over(self, state: str) -> Lease:
        """Until no service holds anything and nothing is counted, and the lease has come to this end."""
        await eventually(lambda: not any(book.held for book in self.books.values()))
        await eventually(lambda: self.lease.state == state)
        await eventually(lambda: len(self.tasks) == 0)
        for service, book in self.books.items():
            for gauge in ("photos", "bytes"):
                assert sample(book.metrics, f"mayfly_custody_{gauge}", service=service) == 0, (service, gauge)
        assert sample(self.books["gateway"].metrics, "mayfly_gateway_photos_in_flight") == 0
        return self.lease

    def handled(self, code: str) -> float:
        """Render calls that ended with this code."""
        labels = {"grpc_service": "mayfly.gateway.v1.PhotoService", "grpc_method": "Render", "grpc_code": code}
        metrics = self.books["gateway"].metrics
        return sample(metrics, "grpc_server_handled_total", grpc_type="stream_stream", **labels)

    def refused(self, reason: str) -> float:
        return sample(self.books["gateway"].metrics, "mayfly_gateway_refused_total", reason=reason)

    def timed(self) -> float:
        """Pictures whose way was timed, of scenes of every cost."""
        metrics = self.books["gateway"].metrics
        return sum(sample(metrics, "mayfly_gateway_journey_seconds_count", cost=cost) for cost in COSTS)


class Phone:
    """One Render call of an app."""

    def __init__(self, world: World, user: str) -> None:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": "mayfly", "sub": user, "iat": now, "exp": now + 600}
        self.metadata = (("authorization", f"Bearer {jwt.encode(claims, KEY, algorithm='EdDSA')}"),)
        self._channel = world.channel
        self.call = self._channel.stream_stream("/mayfly.gateway.v1.PhotoService/Render")(metadata=self.metadata)
        self.accepted = pb.Accepted()

    async def send(self, *messages: Any) -> None:
        """As far as the gateway takes them."""
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            for message in messages:
                await streams.write(self.call, message if isinstance(message, bytes) else message.SerializeToString())

    async def ask(self, **changed: Any) -> None:
        """Sends the order."""
        fields = {"request_id": REQUEST_ID, "scene_id": CATALOGUE.scenes()[0].id, "policy_version": "2026-11"}
        await self.send(pb.RenderRequest(start=pb.RenderStart(**{**fields, **changed})))

    async def start(self, **changed: Any) -> pb.Accepted:
        """Sends the order; waits for its acceptance."""
        await self.ask(**changed)
        self.accepted = (await self.read()).accepted
        return self.accepted

    async def read(self) -> pb.RenderResponse:
        try:
            raw = await self.call.read()
        except grpc.aio.AioRpcError as error:
            raise status.from_rpc(error) from None
        if not isinstance(raw, bytes):
            code = await self.call.code()
            if code is grpc.StatusCode.OK:
                raise EOFError
            raise status.from_rpc(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), await self.call.trailing_metadata()))
        return pb.RenderResponse.FromString(raw)

    async def until(self, kind: str) -> list[pb.RenderResponse]:
        """Messages up to the first one of this kind."""
        found = [await self.read()]
        while found[-1].WhichOneof("message") != kind:
            found.append(await self.read())
        return found

    async def refusal(self) -> MeshError:
        """The typed error that the call ends with."""
        try:
            while True:
                await self.read()
        except MeshError as error:
            return error

    def collecting(self, photo_id: str = "", token: str = "", **fields: Any) -> Any:
        """A Collect call, to be read message by message."""
        request = pb.CollectRequest(
            photo_id=photo_id or self.accepted.photo_id, resume_token=token or self.accepted.resume_token, **fields
        )
        method = self._channel.unary_stream(
            "/mayfly.gateway.v1.PhotoService/Collect",
            pb.CollectRequest.SerializeToString,
            pb.CollectResponse.FromString,
        )
        return method(request, metadata=self.metadata)

    async def collect(self, photo_id: str = "", token: str = "", **fields: Any) -> list[pb.CollectResponse]:
        try:
            return [message async for message in self.collecting(photo_id, token, **fields)]
        except grpc.aio.AioRpcError as error:
            raise status.from_rpc(error) from None

    async def confirm(self, claimant: bytes, token: str = "") -> bytes:
        """The receipt bundle."""
        request = pb.ConfirmCollectedRequest(
            photo_id=self.accepted.photo_id, resume_token=token or self.accepted.resume_token, claimant=claimant
        )
        method = self._channel.unary_unary(
            "/mayfly.gateway.v1.PhotoService/ConfirmCollected",
            pb.ConfirmCollectedRequest.SerializeToString,
            pb.ConfirmCollectedResponse.FromString,
        )
        try:
            bundle: bytes = (await method(request, metadata=self.metadata)).receipt.bundle
        except grpc.aio.AioRpcError as error:
            raise status.from_rpc(error) from None
        return bundle


@asynccontextmanager
async def running(
    folder: Path, *, max_per_owner: int = 4, delivery_seconds: float = 10.0, start_seconds: float = 5.0
) -> AsyncIterator[World]:
    """The four services, up; afterwards no task is left."""
    before = asyncio.all_tasks()
    world = World(folder, max_per_owner=max_per_owner, delivery_seconds=delivery_seconds)
    world.start_seconds = start_seconds
    measured = RenderMetrics(world.books["render"].metrics.registry)
    slots = Slots(world.engine, slots=2, queue=2, metrics=measured, clock=SystemClock())
    await slots.start()
    methods = registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].methods
    purge_allowed = {f"/mayfly.purge.v1.RegistryService/{m.name}": frozenset({"gateway"}) for m in methods}
    public = identity("gateway")
    edge = chain.edge(world.books["gateway"].metrics)
    metrics = {service: book.metrics for service, book in world.books.items()}

    def register_purge(server: grpc.aio.Server) -> None:
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(world.purge, server)

    async with (
        served(world.ingest().add_to, service="ingest", allowed=INGEST_ALLOWED, metrics=metrics["ingest"]) as ingest,
        served(
            world.render(slots).add_to, service="render", allowed=RENDER_ALLOWED, metrics=metrics["render"]
        ) as render,
        served(register_purge, service="purge", allowed=purge_allowed) as purge,
        calling(ingest, "ingest") as to_ingest,
        calling(render, "render") as to_render,
        calling(purge, "purge") as to_purge,
        served(
            world.gateway(to_ingest, to_render, to_purge).add_to,
            service="gateway",
            credentials=grpc.ssl_server_credentials([(public.key, public.cert)]),
            interceptor=edge,
        ) as world.address,
        grpc.aio.secure_channel(
            world.address,
            grpc.ssl_channel_credentials(authority().certificate_pem()),
            options=(*FLOW_CONTROL, ("grpc.ssl_target_name_override", "localhost")),
        ) as world.channel,
    ):
        yield world
        world.engine.may_finish.set()
        await world.tasks.cancel()
        await world.tasks.wait(5)
    await slots.stop()
    await no_tasks_beside(before)
