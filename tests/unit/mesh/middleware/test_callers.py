"""Who may call what: listed callers with our certificates, and nobody else."""

from __future__ import annotations

import grpc
import pytest

from mesh.errors import Denied, NotFound, Unavailable
from mesh.middleware import chain
from mesh.testing.wait import eventually
from tests.unit.mesh.middleware.world import KINDS, SERVICE, Handlers, World
from tests.unit.serving import (
    CANARY,
    authority,
    calling,
    error_of,
    generic,
    identity,
    leaf,
    new_metrics,
    served,
)


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
