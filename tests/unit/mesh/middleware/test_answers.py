"""What the caller sees of an answer or an error, what is counted, what leaks: each kind of RPC, the whole chain."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from mesh.errors import Exhausted, Internal, Invalid, Unavailable
from mesh.instruments import withheld
from mesh.metrics import FAILURES
from mesh.middleware import chain
from mesh.status import from_rpc
from mesh.testing.wait import eventually
from tests.unit.mesh.middleware.world import ERROR, KINDS, SERVICE, World
from tests.unit.serving import (
    CANARY,
    TRUST_DOMAIN,
    new_metrics,
)


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


async def test_a_message_over_the_limit(world: World) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await world.channel.unary_unary(f"/{SERVICE}/unary_unary")(bytes(2 << 20))
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert type(from_rpc(refusal.value)) is Invalid


def test_the_chain_reads_outermost_first() -> None:
    inside = chain.inside(new_metrics(), {}, TRUST_DOMAIN)
    assert [type(middleware).__name__ for middleware in inside._chain] == [
        "Tracing",
        "Metering",
        "Explaining",
        "Authorizing",
    ]
