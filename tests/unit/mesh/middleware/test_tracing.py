"""Spans of calls, through the whole chain and over mutual TLS: whose parent counts, what errors say, when they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.context import Context
from opentelemetry.trace import StatusCode

from mesh.errors import NotFound, Unavailable
from mesh.middleware import chain
from mesh.testing.wait import eventually
from mesh.tracing import spans
from mesh.tracing.channel import carrying
from tests.unit.mesh.tracing.recording import recording
from tests.unit.serving import CANARY, TRUST_DOMAIN, calling, generic, new_metrics, served

SERVICE = "mayfly.test.v1.Test"
METHOD = f"/{SERVICE}/Do"
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
FOREIGN = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


@asynccontextmanager
async def serving(act: Any, *, edge: bool = False, kind: str = "unary_unary") -> AsyncIterator[Any]:
    """A channel to a server whose one method does what ``act`` does."""

    async def stream(_request: Any, _context: Any) -> AsyncIterator[bytes]:
        yield await act()

    async def unary(_request: Any, _context: Any) -> bytes:
        return await act()

    handler = getattr(grpc, f"{kind}_rpc_method_handler")(stream if kind.endswith("stream") else unary)
    allowed = {METHOD: frozenset({"gateway"})}
    metrics = new_metrics()
    interceptor = chain.edge(metrics) if edge else chain.inside(metrics, allowed, TRUST_DOMAIN)
    async with (
        served(
            generic(SERVICE, {"Do": handler}), service="ingest", allowed=allowed, interceptor=interceptor
        ) as address,
        calling(address, "ingest") as channel,
    ):
        yield carrying(channel)


async def ask(channel: Any, kind: str = "unary_unary", metadata: Any = None) -> Any:
    method = getattr(channel, kind)(METHOD)
    call = method(b"", metadata=metadata) if kind.startswith("unary") else method(metadata=metadata)
    if kind.startswith("stream"):
        await call.done_writing()
    return await (call.read() if kind.endswith("stream") else call)


async def fine() -> bytes:
    return b"ok"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_continues_its_callers_trace(kind: str) -> None:
    with recording() as exporter:
        async with serving(fine, kind=kind) as channel:
            with spans.of_call("/mayfly.caller.v1.Caller/Call", Context()):
                assert await ask(channel, kind) == b"ok"
        called, caller = await finished(exporter, 2)
    assert (called.name, called.parent.span_id) == (METHOD[1:], caller.context.span_id)
    assert called.context.trace_id == caller.context.trace_id
    assert called.attributes["rpc.grpc.status_code"] == 0


async def test_inside_a_call_without_a_trace_has_none() -> None:
    with recording() as exporter:
        async with serving(fine) as channel:
            await ask(channel)
        assert exporter.get_finished_spans() == ()


async def test_the_edge_begins_a_trace_whatever_the_caller_says() -> None:
    with recording() as exporter:
        async with serving(fine, edge=True) as channel:
            await ask(channel, metadata=(FOREIGN, ("tracestate", f"v={CANARY}"), ("baggage", f"u={CANARY}")))
        (span,) = await finished(exporter, 1)
    assert span.parent is None
    assert f"{span.context.trace_id:032x}" not in FOREIGN[1]
    assert not span.links
    assert CANARY not in span.to_json()


async def test_plumbing_begins_none() -> None:
    with recording() as exporter:
        async with serving(fine, edge=True) as channel:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize(
    ("error", "code", "status", "said"),
    [
        (NotFound("NO_SUCH", CANARY), "NOT_FOUND", StatusCode.UNSET, ("NotFound", "NO_SUCH")),
        (Unavailable("AWAY", CANARY), "UNAVAILABLE", StatusCode.ERROR, ("Unavailable", "AWAY")),
        (ValueError(CANARY), "INTERNAL", StatusCode.ERROR, ("ValueError", None)),
    ],
)
async def test_an_error_says_its_status_and_its_type(error: Any, code: str, status: StatusCode, said: Any) -> None:
    async def fail() -> bytes:
        raise error

    with recording() as exporter:
        async with serving(fail, edge=True) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await ask(channel)
        (span,) = await finished(exporter, 1)
    assert raised.value.code().name == code
    assert span.attributes["rpc.grpc.status_code"] == raised.value.code().value[0]
    assert (span.attributes["error.type"], span.attributes.get("mayfly.reason")) == said
    assert span.status.status_code is status
    assert CANARY not in span.to_json()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_that_is_cancelled_ends_its_span(kind: str) -> None:
    began = asyncio.Event()

    async def forever() -> bytes:
        began.set()
        await asyncio.Event().wait()
        return b""

    with recording() as exporter:
        async with serving(forever, edge=True, kind=kind) as channel:
            asking = asyncio.create_task(ask(channel, kind))
            await began.wait()
            asking.cancel()
            (span,) = await finished(exporter, 1)
    assert span.attributes["rpc.grpc.status_code"] == grpc.StatusCode.CANCELLED.value[0]


async def finished(exporter: Any, count: int) -> Any:
    """The spans, once there are so many: a server's ends a moment after its answer."""
    return await eventually(lambda: len(found := exporter.get_finished_spans()) >= count and found)
