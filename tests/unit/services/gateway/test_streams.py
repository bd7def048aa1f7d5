"""Both ends of the gateway, each against a real peer: the app's call (Client) and a peer's (Hop)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from mayfly.gateway.v1 import gateway_pb2
from mayfly.render.v1 import render_pb2
from mesh.clock import SystemClock
from mesh.custody.metadata import EXPIRE_TIME, HOLDER
from mesh.errors import Cancelled, Exhausted, Internal, MeshError
from mesh.testing.wait import eventually
from services.gateway.authentication import Caller
from services.gateway.client import Client, ClientGone
from services.gateway.hop import Hop
from services.gateway.peers import Photos
from tests.unit.serving import calling, generic, new_lease, no_tasks_beside, served

METHOD = "/mayfly.render.v1.RenderService/Render"
ERROR = Exhausted("RENDER_QUEUE_FULL", "Wait.", retry_after=5.0)
Behaviour = Callable[[Any], Awaitable[None]]


@asynccontextmanager
async def peer(behave: Behaviour) -> AsyncIterator[Any]:
    """A channel to a render that behaves so."""
    before = asyncio.all_tasks()

    async def handler(_messages: object, context: Any) -> None:
        await behave(context)

    register = generic("mayfly.render.v1.RenderService", {"Render": grpc.stream_stream_rpc_method_handler(handler)})
    allowed = {METHOD: frozenset({"gateway"})}
    async with served(register, service="render", allowed=allowed) as address, calling(address, "render") as channel:
        yield channel
    await no_tasks_beside(before)


def hop_to(channel: Any) -> Hop:
    return Hop(channel.stream_stream(METHOD)())


async def refuse(context: Any) -> None:
    await context.read()
    raise ERROR


async def same_error(work: Awaitable[object]) -> None:
    with pytest.raises(Exhausted) as error:
        await work
    assert vars(error.value) == vars(ERROR)


async def test_a_peers_refusal_is_its_own_error_wherever_it_is_noticed() -> None:
    async def write_on(hop: Hop) -> None:
        while True:
            await hop.write(bytes(256 << 10))

    async with peer(refuse) as channel:
        for notice in (write_on, Hop.read, Hop.read_frame, Hop.holder, Hop.close):
            hop = hop_to(channel)
            await hop.write(b"x")
            await same_error(notice(hop))
            await same_error(hop.write(b"late"))
            hop.cancel()


async def test_a_peer_that_ends_well_too_early_is_a_bug() -> None:
    async def end(context: Any) -> None:
        await context.send_initial_metadata(((HOLDER, "render/render-0/00"),))
        await context.write(b"one")

    async with peer(end) as channel:
        hop = hop_to(channel)
        assert await hop.holder() == "render/render-0/00"
        assert await hop.read() == b"one"
        assert await hop.read() is None
        with pytest.raises(Internal):
            await hop.read_frame()
        with pytest.raises(Internal):
            await hop.write(b"late")


async def test_a_peer_that_does_not_say_who_it_is() -> None:
    async def nameless(context: Any) -> None:
        await context.send_initial_metadata(())

    async with peer(nameless) as channel:
        with pytest.raises(Internal):
            await hop_to(channel).holder()


async def test_a_peer_that_is_away() -> None:
    async with calling("127.0.0.1:1", "render") as channel:
        for work in (Hop.read, Hop.holder, Hop.close, lambda hop: hop.write(b"x")):
            with pytest.raises(MeshError) as error:
                await work(hop_to(channel))
            assert error.value.reason == "PEER_UNAVAILABLE"


async def test_close_reads_to_the_end() -> None:
    ended = asyncio.Event()

    async def slow(context: Any) -> None:
        assert await context.read() is grpc.aio.EOF
        for _ in range(3):
            await context.write(b"rest")
        ended.set()

    async with peer(slow) as channel:
        await hop_to(channel).close()
        assert ended.is_set()


async def test_every_deadline_is_the_leases_end() -> None:
    found: list[tuple[float, dict[str, object]]] = []

    async def note(context: Any) -> None:
        found.append((context.time_remaining(), dict(context.invocation_metadata())))
        if context.time_remaining() < 1:
            await asyncio.Event().wait()

    async with peer(note) as channel:
        photos, lease = Photos(channel, channel, SystemClock()), new_lease(20)
        await photos.render(lease, gateway_pb2.RenderStart(scene_id="x"), Caller(b"o" * 32, "priority")).close()
        assert 15 < found[0][0] <= 20
        assert found[0][1][EXPIRE_TIME] == str(int(lease.expire_time * 1000))
        sent = found[0][1]["mayfly-render-options-bin"]
        assert isinstance(sent, bytes)
        asked = render_pb2.RenderOptions.FromString(sent)
        assert (asked.scene_id, asked.service_class) == ("x", render_pb2.SERVICE_CLASS_PRIORITY)
        assert len(asked.owner_tag) == 8
        scrub = photos.scrub(lease)
        assert 15 < scrub._call.time_remaining() <= 20
        scrub.cancel()
        overdue = photos.render(new_lease(-5), gateway_pb2.RenderStart(), Caller(b"o" * 32))
        with pytest.raises(MeshError) as error:
            await overdue.read()
        assert error.value.reason == "LEASE_EXPIRED"


async def test_an_owner_s_tag_is_the_same_for_its_photos_and_for_nobody_else_s() -> None:
    tags: list[bytes] = []

    async def note(context: Any) -> None:
        sent = dict(context.invocation_metadata())["mayfly-render-options-bin"]
        tags.append(render_pb2.RenderOptions.FromString(sent).owner_tag)

    async with peer(note) as channel:
        one, other = Photos(channel, channel, SystemClock()), Photos(channel, channel, SystemClock())
        for photos, owner in ((one, b"a" * 32), (one, b"a" * 32), (one, b"b" * 32), (other, b"a" * 32)):
            await photos.render(new_lease(20), gateway_pb2.RenderStart(), Caller(owner)).close()
    assert tags[0] == tags[1]
    assert len({*tags}) == 3, "another owner's, and another gateway's, are others"


async def test_several_who_speak_to_one_client_do_so_in_turn() -> None:
    """gRPC fails the second of two writes at a time."""

    async def chatter(context: Any) -> None:
        client = Client(context)
        await asyncio.gather(*(client.write(bytes((n,)) * 50_000) for n in range(20)))

    async with peer(chatter) as channel:
        hop = hop_to(channel)
        found = []
        while (message := await hop.read()) is not None:
            found.append(message)
    assert sorted(found) == [bytes((n,)) * 50_000 for n in range(20)]


@pytest.mark.parametrize("doing", ["read", "write", "queue"])
async def test_a_client_that_hangs_up_ends_every_wait(doing: str) -> None:
    gone: list[type[BaseException]] = []
    began = asyncio.Event()

    async def talk(context: Any) -> None:
        client = Client(context)

        async def work() -> None:
            try:
                began.set()
                while True:
                    await (client.read() if doing == "read" else client.write(bytes(512 << 10)))
            except BaseException as error:
                gone.append(type(error))
                raise

        # As journeys do: the work lives in tasks that outlive the call.
        works = [asyncio.ensure_future(work()) for _ in range(3 if doing == "queue" else 1)]
        try:
            await asyncio.wait(works)
        finally:
            client.hang_up()
            outliving.update(works)

    outliving: set[asyncio.Future[None]] = set()
    async with peer(talk) as channel:
        call = channel.stream_stream(METHOD)()
        await began.wait()
        call.cancel()
        await eventually(lambda: outliving and all(work.done() for work in outliving))
        for work in outliving:
            with pytest.raises(Cancelled):
                work.result()
    assert set(gone) == {ClientGone}


async def test_a_client_that_has_gone_is_asked_nothing_more() -> None:
    async def talk(context: Any) -> None:
        client = Client(context)
        client.hang_up()
        for work in (client.read, lambda: client.write(b"x")):
            with pytest.raises(ClientGone):
                await work()
        await context.write(b"fine")

    async with peer(talk) as channel:
        assert await hop_to(channel).read() == b"fine"
