"""All four kinds of RPC through the whole chain, over mutual TLS: what the caller sees, what is counted, what leaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh.errors import Denied, Exhausted, Internal, Invalid, MeshError, NotFound, Unavailable
from mesh.health import Health
from mesh.instruments import withheld
from mesh.metrics import FAILURES
from mesh.middleware import chain
from mesh.status import from_rpc
from mesh.testing.wait import eventually
from tests.unit.serving import (
    CANARY,
    TRUST_DOMAIN,
    authority,
    calling,
    error_of,
    generic,
    identity,
    leaf,
    new_metrics,
    no_tasks_beside,
    sample,
    served,
)

SERVICE = "mayfly.test.v1.Test"
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
ERROR = Exhausted("TEST_FULL", "Wait.", retry_after=3.0)


class Handlers:
    """One method of each kind; ``act`` says what they do."""

    def __init__(self) -> None:
        self.act: Any = lambda: b"ok"
        self.began, self.cancelled = asyncio.Event(), asyncio.Event()

    async def _do(self) -> bytes:
        self.began.set()
        try:
            result = self.act()
            return await result if asyncio.iscoroutine(result) else result
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def unary_unary(self, _request: bytes, _context: Any) -> bytes:
        return await self._do()

    async def unary_stream(self, _request: bytes, _context: Any) -> AsyncIterator[bytes]:
        yield await self._do()

    async def stream_unary(self, _requests: Any, context: Any) -> bytes:
        await context.read()
        return await self._do()

    async def stream_stream(self, _requests: Any, context: Any) -> None:
        await context.read()
        await context.write(await self._do())

    def by_name(self) -> dict[str, Any]:
        return {kind: getattr(grpc, f"{kind}_rpc_method_handler")(getattr(self, kind)) for kind in KINDS}


class World:
    def __init__(self) -> None:
        self.handlers = Handlers()
        self.metrics = new_metrics()
        self.health = Health()
        self.address = ""
        self.channel: Any = None

    def call(self, kind: str, channel: Any = None) -> Any:
        method = getattr(channel or self.channel, kind)(f"/{SERVICE}/{kind}")
        return method(b"") if kind.startswith("unary") else method()

    async def ask(self, kind: str, channel: Any = None) -> bytes:
        call = self.call(kind, channel)
        if kind.startswith("stream"):
            await call.write(b"")
            await call.done_writing()
        return await (call.read() if kind.endswith("stream") else call)

    async def refusal(self, kind: str, channel: Any = None) -> MeshError:
        call = self.call(kind, channel)
        if kind.startswith("stream"):
            try:
                await call.write(b"")
                await call.done_writing()
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass
        if kind.endswith("stream"):
            return await error_of(call)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return from_rpc(error)
        raise AssertionError("it went well")

    def handled(self, kind: str, code: str) -> float:
        return sample(
            self.metrics,
            "grpc_server_handled_total",
            grpc_type=kind,
            grpc_service=SERVICE,
            grpc_method=kind,
            grpc_code=code,
        )

    def started(self, kind: str) -> float:
        labels = {"grpc_type": kind, "grpc_service": SERVICE, "grpc_method": kind}
        return sample(self.metrics, "grpc_server_started_total", **labels)

    def seconds(self, kind: str) -> float:
        labels = {"grpc_type": kind, "grpc_service": SERVICE, "grpc_method": kind}
        return sample(self.metrics, "grpc_server_handling_seconds_count", **labels)


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    before = asyncio.all_tasks()
    world = World()
    allowed = {f"/{SERVICE}/{kind}": frozenset({"gateway"}) for kind in KINDS}
    register = generic(SERVICE, {**world.handlers.by_name(), "unlisted": world.handlers.by_name()["unary_unary"]})
    async with (
        served(register, service="ingest", allowed=allowed, metrics=world.metrics, health=world.health) as address,
        calling(address, "ingest") as channel,
    ):
        world.address, world.channel = address, channel
        yield world
    await no_tasks_beside(before)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


@pytest.mark.parametrize("kind", KINDS)
async def test_well(world: World, kind: str) -> None:
    assert await world.ask(kind) == b"ok"
    await eventually(lambda: world.handled(kind, "OK") == 1)
    assert (world.started(kind), world.seconds(kind)) == (1, 1)


@pytest.mark.parametrize("kind", KINDS)
async def test_failures_are_counted_from_0_on_before_there_is_one(world: World, kind: str) -> None:
    """A series that begins at 1 is no rise: a rate would miss the first failures after a start."""
    labels = {"grpc_type": kind, "grpc_service": SERVICE, "grpc_method": kind}
    for code in ("OK", *FAILURES):
        value = world.metrics.registry.get_sample_value("grpc_server_handled_total", {**labels, "grpc_code": code})
        assert value == 0, code
    check = {"grpc_type": "unary_unary", "grpc_service": "grpc.health.v1.Health", "grpc_method": "Check"}
    of_generated_code = {**check, "grpc_code": "UNAVAILABLE"}
    assert world.metrics.registry.get_sample_value("grpc_server_handled_total", of_generated_code) == 0
    assert withheld.count == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_typed_error_arrives_whole(world: World, kind: str) -> None:
    def act() -> None:
        raise ERROR

    world.handlers.act = act
    error = await world.refusal(kind)
    assert type(error) is Exhausted
    assert vars(error) == vars(ERROR)
    await eventually(lambda: world.handled(kind, "RESOURCE_EXHAUSTED") == 1)
    assert world.handled(kind, "OK") == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_an_unknown_exception_says_nothing(world: World, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    def act() -> None:
        raise ValueError(CANARY)

    world.handlers.act = act
    call = world.call(kind)
    if kind.startswith("stream"):
        await call.write(b"")
    while kind.endswith("stream") and isinstance(await _read(call), bytes):
        pass
    assert await call.code() is grpc.StatusCode.INTERNAL
    assert await call.details() == "Internal error."
    trailing = repr([*await call.trailing_metadata(), *await call.initial_metadata()])
    said = "".join(capsys.readouterr())
    assert CANARY not in trailing + said
    assert "internal_error" in said
    assert "ValueError" in said
    await eventually(lambda: world.handled(kind, "INTERNAL") == 1)


async def _read(call: Any) -> Any:
    try:
        return await call.read()
    except grpc.aio.AioRpcError:
        return None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_misuse_of_grpc_is_a_bug_too(world: World, kind: str) -> None:
    def act() -> None:
        raise grpc.aio.UsageError(CANARY)

    world.handlers.act = act
    error = await world.refusal(kind)
    assert (type(error), error.message) == (Internal, "Internal error.")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_peers_error_passes_through(world: World, kind: str) -> None:
    async def act() -> None:
        raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), CANARY)

    world.handlers.act = act
    error = await world.refusal(kind)
    assert (type(error), error.reason, error.retry_after) == (Unavailable, "PEER_UNAVAILABLE", 1.0)
    assert CANARY not in error.message


@pytest.mark.parametrize("kind", KINDS)
async def test_cancelled_by_the_caller(world: World, kind: str) -> None:
    async def act() -> None:
        await asyncio.Event().wait()

    world.handlers.act = act
    call = world.call(kind)
    if kind.startswith("stream"):
        await call.write(b"")
    async with asyncio.timeout(5):
        await world.handlers.began.wait()
        call.cancel()
        await world.handlers.cancelled.wait()
    await eventually(lambda: world.handled(kind, "CANCELLED") == 1)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_callers_deadline(world: World, kind: str) -> None:
    async def act() -> None:
        await asyncio.Event().wait()

    world.handlers.act = act
    method = getattr(world.channel, kind)(f"/{SERVICE}/{kind}")
    call = method(b"", timeout=0.2) if kind.startswith("unary") else method(timeout=0.2)
    if kind.startswith("stream"):
        await call.write(b"")
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(5):
        await world.handlers.cancelled.wait()
    await eventually(lambda: world.handled(kind, "CANCELLED") == 1)


async def test_a_caller_that_hangs_up_on_a_writer_is_no_internal_error(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A write that is under way when the caller goes fails inside gRPC before the task is cancelled."""
    written = 0

    async def stream_stream(_requests: Any, context: Any) -> None:
        nonlocal written
        while True:
            await context.write(bytes(512 << 10))
            written += 1

    register = generic("t", {"pour": grpc.stream_stream_rpc_method_handler(stream_stream)})
    metrics = new_metrics()
    async with (
        served(register, service="ingest", allowed={"/t/pour": frozenset({"gateway"})}, metrics=metrics) as address,
        calling(address, "ingest") as channel,
    ):
        for _ in range(5):
            call = channel.stream_stream("/t/pour")()
            await call.read()
            call.cancel()
        labels = {"grpc_type": "stream_stream", "grpc_service": "t", "grpc_method": "pour"}
        await eventually(lambda: sample(metrics, "grpc_server_handled_total", grpc_code="CANCELLED", **labels) == 5)
    assert "internal_error" not in "".join(capsys.readouterr())


async def test_a_stalled_reader_holds_up_the_writer_within_a_bound() -> None:
    """One frame at the reader, the window (1 MiB), and one frame that waits."""
    written = 0

    async def pour(_requests: Any, context: Any) -> None:
        nonlocal written
        while True:
            await context.write(bytes(512 << 10))
            written += 512 << 10

    register = generic("t", {"pour": grpc.stream_stream_rpc_method_handler(pour)})
    async with (
        served(register, service="ingest", allowed={"/t/pour": frozenset({"gateway"})}) as address,
        calling(address, "ingest") as channel,
    ):
        call = channel.stream_stream("/t/pour")()
        await call.read()
        await _settled(lambda: written)
        assert written <= 3 << 20
        call.cancel()


async def test_a_stalled_handler_holds_up_a_fast_caller_within_a_bound() -> None:
    began = asyncio.Event()

    async def sink(_requests: Any, context: Any) -> None:
        await context.read()
        began.set()
        await asyncio.Event().wait()

    register = generic("t", {"sink": grpc.stream_stream_rpc_method_handler(sink)})
    sent = 0
    async with (
        served(register, service="ingest", allowed={"/t/sink": frozenset({"gateway"})}) as address,
        calling(address, "ingest") as channel,
    ):
        call = channel.stream_stream("/t/sink")()

        async def pour() -> None:
            nonlocal sent
            while True:
                await call.write(bytes(512 << 10))
                sent += 512 << 10

        pouring = asyncio.create_task(pour())
        await began.wait()
        await _settled(lambda: sent)
        assert 0 < sent <= 3 << 20
        pouring.cancel()
        call.cancel()


async def _settled(value: Any) -> None:
    """Until a number has not changed for a while."""
    last, since = value(), 0

    def steady() -> bool:
        nonlocal last, since
        since = since + 1 if value() == last else 0
        last = value()
        return since > 60

    await eventually(steady)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_unlisted_caller(world: World, kind: str) -> None:
    async with calling(world.address, "ingest", caller="render") as channel:
        error = await world.refusal(kind, channel)
    assert (type(error), error.reason) == (Denied, "CALLER_NOT_ALLOWED")
    assert not world.handlers.began.is_set()
    await eventually(lambda: world.handled(kind, "PERMISSION_DENIED") == 1)


async def test_an_unlisted_method_is_nobodys(world: World) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await world.channel.unary_unary(f"/{SERVICE}/unlisted")(b"")
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_unknown_methods_make_no_labels(world: World) -> None:
    for name in ("/no.Such/Method", f"/{SERVICE}/{CANARY}", "/nonsense"):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await world.channel.unary_unary(name)(b"")
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
    from prometheus_client import generate_latest

    text = generate_latest(world.metrics.registry).decode()
    assert CANARY not in text
    assert "no.Such" not in text


@pytest.mark.parametrize("spiffe", [True, False])
async def test_a_certificate_of_another_ca_or_none_of_ours(world: World, spiffe: bool) -> None:
    pair = leaf("gateway", ca="theirs" if spiffe else "ours", spiffe=spiffe)
    credentials = grpc.ssl_channel_credentials(authority().certificate_pem(), pair.key_pem(), pair.certificate_pem())
    options = (("grpc.ssl_target_name_override", "ingest.mayfly.internal"),)
    async with grpc.aio.secure_channel(world.address, credentials, options=options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await channel.unary_unary(f"/{SERVICE}/unary_unary")(b"", timeout=5)
    expected = grpc.StatusCode.UNAVAILABLE if spiffe else grpc.StatusCode.PERMISSION_DENIED
    assert refusal.value.code() is expected
    assert not world.handlers.began.is_set()


async def test_no_certificate_no_handshake(world: World) -> None:
    credentials = grpc.ssl_channel_credentials(authority().certificate_pem())
    options = (("grpc.ssl_target_name_override", "ingest.mayfly.internal"),)
    async with grpc.aio.secure_channel(world.address, credentials, options=options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await channel.unary_unary(f"/{SERVICE}/unary_unary")(b"", timeout=5)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    assert world.started("unary_unary") == 0


async def test_no_plaintext(world: World) -> None:
    async with grpc.aio.insecure_channel(world.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await channel.unary_unary(f"/{SERVICE}/unary_unary")(b"", timeout=5)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_that_is_not_who_we_call(world: World) -> None:
    """The channel is to render; ingest answers."""
    async with calling(world.address, "render") as channel:
        error = await world.refusal("unary_unary", channel)
    assert type(error) is Unavailable
    assert not world.handlers.began.is_set()


async def test_a_message_over_the_limit(world: World) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await world.channel.unary_unary(f"/{SERVICE}/unary_unary")(bytes(2 << 20))
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert type(from_rpc(refusal.value)) is Invalid


async def test_health_follows_the_checks(world: World) -> None:
    stub = health_pb2_grpc.HealthStub(world.channel)
    serving = health_pb2.HealthCheckResponse
    assert (await stub.Check(health_pb2.HealthCheckRequest())).status == serving.SERVING
    ready = False
    world.health.checks["engine"] = lambda: ready
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    async with asyncio.timeout(5):
        while (await watch.read()).status != serving.NOT_SERVING:
            pass
        ready = True
        while (await watch.read()).status != serving.SERVING:
            pass
        await world.health.drain()
        while (await watch.read()).status != serving.NOT_SERVING:
            pass
    watch.cancel()
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await stub.Check(health_pb2.HealthCheckRequest(service="no.Such"))
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_is_for_the_mesh_only(world: World) -> None:
    async with calling(world.address, "ingest", caller="stranger") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_the_edge_asks_for_no_certificate() -> None:
    handlers = Handlers()

    def act() -> None:
        raise NotFound("PHOTO_NOT_FOUND", "Not here.")

    handlers.act = act
    pair = identity("gateway")
    credentials = grpc.ssl_server_credentials([(pair.key, pair.cert)])
    edge = chain.edge(new_metrics("gateway"))
    register = generic(SERVICE, handlers.by_name())
    async with served(register, service="gateway", credentials=credentials, interceptor=edge) as address:
        trust = grpc.ssl_channel_credentials(authority().certificate_pem())
        options = (("grpc.ssl_target_name_override", "localhost"),)
        async with grpc.aio.secure_channel(address, trust, options=options) as channel:
            call = channel.unary_unary(f"/{SERVICE}/unary_unary")(b"")
            assert type(await error_of(call)) is NotFound


def test_the_chain_reads_outermost_first() -> None:
    inside = chain.inside(new_metrics(), {}, TRUST_DOMAIN)
    assert [type(middleware).__name__ for middleware in inside._chain] == [
        "Tracing",
        "Metering",
        "Explaining",
        "Authorizing",
    ]
