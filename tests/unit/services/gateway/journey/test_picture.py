"""A photo's trip from its seal on: however the client and the peers behave, nothing is held afterwards, and the lease
has the one right end.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.purge.v1 import registry_pb2 as registry
from mesh.errors import Aborted, Internal, NotFound, Unavailable
from mesh.errors import Cancelled as Taken
from mesh.testing.wait import eventually
from tests.unit.services.gateway.journey.trips import DELIVERED, UPLOAD, picture_of, uploaded
from tests.unit.services.gateway.world import BUNDLE, World, running
from tests.unit.services.servicing import chunk, large_jpeg, seal, upload
from tests.unit.serving import drop_all, sample


async def test_hanging_up_after_the_seal_parks_the_picture_and_collect_hands_it_out_once(world: World) -> None:
    phone = await uploaded(world)
    await phone.call.done_writing()
    phone.call.cancel()
    await eventually(lambda: world.handled("CANCELLED") == 1)
    assert len(world.tasks) == 1, "the journey goes on"
    world.engine.may_finish.set()
    lease = await world.over("parked")
    assert len(lease.holders) == 3
    assert all(world.engine.picture.data[:64] not in segment for segment in lease.segments)
    for photo_id, token in (("0" * 32, ""), ("nonsense", ""), ("", "A" * 43), ("", "nonsense")):
        with pytest.raises(NotFound):
            await phone.collect(photo_id, token)
    with pytest.raises(NotFound):
        stranger = world.phone("somebody-else")
        stranger.call.cancel()
        await stranger.collect(phone.accepted.photo_id, phone.accepted.resume_token)
    messages = await phone.collect()
    assert [m.WhichOneof("message") for m in messages] == ["header", *["chunk"] * 4, "seal", "receipt"]
    assert b"".join(message.chunk for message in messages) == world.engine.picture.data
    assert messages[-1].receipt.bundle == BUNDLE
    assert (await world.over("settled")).holders == ["gateway/gateway-0/00"]
    assert world.purge.settled_route == registry.DELIVERY_ROUTE_COLLECT
    with pytest.raises(NotFound):
        await phone.collect()


async def test_hanging_up_in_the_midst_of_the_picture_parks_all_of_it(world: World) -> None:
    phone = await uploaded(world)
    world.engine.may_finish.set()
    await phone.until("chunk")
    phone.call.cancel()
    await world.over("parked")
    assert b"".join(message.chunk for message in await phone.collect()) == world.engine.picture.data


async def test_half_closing_after_the_seal_parks_a_picture_that_was_not_confirmed(world: World) -> None:
    phone = world.phone()
    await phone.start()
    await phone.send(*UPLOAD)
    await phone.call.done_writing()
    assert picture_of(await phone.until("seal")) == world.engine.picture.data
    error = await phone.refusal()
    assert (type(error), error.reason) == (Aborted, "DELIVERY_UNCONFIRMED")
    await world.over("parked")
    assert (await phone.collect())[-1].receipt.bundle == BUNDLE


@pytest.mark.parametrize("late", [b"", b"\xff", chunk(b"x"), pb.RenderRequest(start=pb.RenderStart())])
async def test_anything_but_delivered_is_no_confirmation(world: World, late: bytes) -> None:
    phone = world.phone()
    await phone.start()
    await phone.send(*UPLOAD)
    await phone.until("seal")
    await phone.send(late)
    assert (await phone.refusal()).reason == "DELIVERY_UNCONFIRMED"
    await world.over("parked")


async def test_silence_is_no_confirmation(tmp_path: Path) -> None:
    async with running(tmp_path, delivery_seconds=0.1) as world:
        phone = world.phone()
        await phone.start()
        await phone.send(*UPLOAD)
        await phone.until("seal")
        assert (await phone.refusal()).reason == "DELIVERY_UNCONFIRMED"
        await world.over("parked")


async def test_a_pictures_way_is_timed_until_its_last_byte_is_out(world: World) -> None:
    """What the app does then is not the mesh's time."""
    phone = await uploaded(world)
    assert world.timed() == 0
    world.engine.may_finish.set()
    await phone.until("seal")
    await eventually(lambda: world.timed() == 1)
    assert world.lease.state == "live"
    await phone.send(chunk(b"no confirmation"))
    await world.over("parked")
    assert world.timed() == 1


async def test_the_way_of_a_picture_that_nobody_waits_for_is_timed_until_it_is_parked(world: World) -> None:
    """Else a mesh so slow that phones give up would be late for nobody."""
    phone = await uploaded(world)
    phone.call.cancel()
    await eventually(lambda: world.handled("CANCELLED") == 1)
    assert world.timed() == 0
    world.engine.may_finish.set()
    await world.over("parked")
    await eventually(lambda: world.timed() == 1)
    assert len((await phone.collect())[-1].receipt.bundle)
    assert world.timed() == 1


async def test_delivered_too_early_counts_only_once_the_picture_is_out(world: World) -> None:
    phone = await uploaded(world)
    await phone.send(DELIVERED)
    assert world.lease.state == "live"
    world.engine.may_finish.set()
    assert picture_of(await phone.until("seal")) == world.engine.picture.data
    assert (await phone.read()).receipt.bundle == BUNDLE
    await world.over("settled")


async def test_a_phone_that_stalls_at_the_picture_stalls_only_itself(world: World) -> None:
    """Back-pressure through the gateway: what it takes from render is a window and a frame ahead of the phone."""
    stalled = await uploaded(world)
    world.engine.may_finish.set()
    await eventually(lambda: world.held("render"))
    other = world.phone("user-2")
    await other.start()
    await other.send(*UPLOAD)
    await other.until("seal")
    await other.send(DELIVERED)
    await other.until("receipt")
    assert sample(world.books["gateway"].metrics, "mayfly_custody_bytes", service="gateway") <= 2 << 20
    assert picture_of(await stalled.until("seal")) == world.engine.picture.data
    await stalled.send(DELIVERED)
    await stalled.until("receipt")


async def test_the_gateway_collects_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an upload of 7 MB it never has more than a few frames in hand, with ingest at full speed and a full queue."""
    gateway = world.books["gateway"].metrics
    seen, count = [0.0], gateway.custody_bytes.inc

    def inc(amount: float = 1) -> None:
        count(amount)
        seen.append(sample(gateway, "mayfly_custody_bytes", service="gateway"))

    monkeypatch.setattr(gateway.custody_bytes, "inc", inc)
    phone = world.phone()
    await phone.start()
    sending = asyncio.create_task(phone.send(*upload(large_jpeg(), 512 << 10)))
    await phone.until("seal")
    await phone.send(DELIVERED)
    await phone.until("receipt")
    await sending
    assert 0 < max(seen) <= 3 << 20
    await world.over("settled")


async def test_revoked_during_the_render(world: World) -> None:
    phone = await uploaded(world)
    world.lease.state = "revoked"
    for book in world.books.values():
        drop_all(book, Taken("PHOTO_REVOKED", "Taken back."))
    await eventually(lambda: not world.held("gateway"))
    assert (await phone.refusal()).reason == "PHOTO_REVOKED"
    world.engine.may_finish.set()
    await world.over("revoked")


async def test_an_engine_that_fails(world: World) -> None:
    phone = await uploaded(world)
    world.engine.error = ValueError("a bug")
    world.engine.may_finish.set()
    error = await phone.refusal()
    assert (type(error), error.reason) == (Internal, "RENDER_FAILED")
    assert (await world.over("revoked")).reason == registry.REVOCATION_REASON_ENGINE_FAILED


async def test_parking_that_fails_ends_the_lease_with_the_right_reason(world: World) -> None:
    world.purge.fail["Park"] = Unavailable("REGISTRY_UNAVAILABLE", "Away.", retry_after=1.0)
    phone = await uploaded(world)
    phone.call.cancel()
    world.engine.may_finish.set()
    assert (await world.over("revoked")).reason == registry.REVOCATION_REASON_PEER_LOST


async def test_parking_refused_in_the_midst(world: World) -> None:
    world.purge.parking_segments_until_failure = 2
    phone = await uploaded(world)
    phone.call.cancel()
    world.engine.may_finish.set()
    await eventually(lambda: world.refused("PHOTO_NOT_FOUND") == 1)
    await world.over("live")


async def test_render_lost_while_its_picture_is_parked(world: World) -> None:
    """An error in the midst of the segments is that error, and not a cancellation."""
    phone = await uploaded(world)
    phone.call.cancel()
    world.purge.at_park = lambda: drop_all(world.books["render"], Unavailable("ENGINE_AWAY", "Away."))
    world.engine.may_finish.set()
    assert (await world.over("revoked")).reason == registry.REVOCATION_REASON_PEER_LOST
    assert world.refused("ENGINE_AWAY") == 1


async def test_render_lost_after_the_delivery_changes_nothing(world: World) -> None:
    phone = world.phone()
    await phone.start()
    await phone.send(*UPLOAD)
    await phone.until("seal")
    drop_all(world.books["render"], Unavailable("ENGINE_AWAY", "Away."))
    await eventually(lambda: not world.held("render"))
    await phone.send(DELIVERED)
    assert (await phone.read()).receipt.bundle == BUNDLE
    await world.over("settled")


async def test_render_lost_before_the_picture_is_out(world: World) -> None:
    phone = await uploaded(world)
    drop_all(world.books["render"], Unavailable("ENGINE_AWAY", "Away."))
    world.engine.may_finish.set()
    assert type(await phone.refusal()) is Unavailable
    assert (await world.over("revoked")).reason == registry.REVOCATION_REASON_PEER_LOST


async def test_a_settlement_that_needs_several_tries(world: World) -> None:
    world.purge.fail["SettleLease"] = Unavailable("REGISTRY_UNAVAILABLE", "Away.")
    phone = world.phone()
    await phone.start()
    await phone.send(*UPLOAD)
    await phone.until("seal")
    await phone.send(DELIVERED)
    await eventually(lambda: not world.held("gateway"))
    del world.purge.fail["SettleLease"]
    assert (await phone.read()).receipt.bundle == BUNDLE
    await world.over("settled")


async def test_shutting_down_ends_journeys(world: World) -> None:
    phone = await uploaded(world)
    stopping = asyncio.create_task(world.tasks.cancel())
    error = await phone.refusal()
    assert (type(error), error.reason) == (Unavailable, "SHUTTING_DOWN")
    world.engine.may_finish.set()
    await stopping
    assert (await world.over("revoked")).reason == registry.REVOCATION_REASON_SHUTDOWN


async def test_the_call_ends_with_the_code_that_the_phone_sees(world: World) -> None:
    phone = world.phone()
    await phone.start()
    await phone.send(chunk(b"not a photo"), seal(11))
    await phone.refusal()
    assert await phone.call.code() is grpc.StatusCode.INVALID_ARGUMENT
    await eventually(lambda: world.handled("INVALID_ARGUMENT") == 1)
