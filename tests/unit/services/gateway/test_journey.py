"""The trip of a photo through a real gateway, ingest and render: however the client and the peers behave, nothing is
held afterwards, and the lease has the one right end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.purge.v1 import registry_pb2 as registry
from mesh import frames
from mesh.errors import Aborted, Exhausted, Internal, Invalid, NotFound, Overdue, Unauthenticated, Unavailable
from mesh.errors import Cancelled as Taken
from mesh.testing.wait import eventually
from tests.photos import jpeg
from tests.unit.services.gateway.world import BUNDLE, REQUEST_ID, Phone, World, running
from tests.unit.services.servicing import chunk, large_jpeg, seal, upload
from tests.unit.serving import PURGE, sample

PHOTO = jpeg(640, 480, quality=95)
UPLOAD = upload(PHOTO, 16 << 10)
DELIVERED = pb.RenderRequest(delivered=pb.Delivered())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as world:
        yield world


async def uploaded(world: World) -> Phone:
    """A phone whose photo is in the engine's hands, which don't finish."""
    world.engine.may_finish.clear()
    phone = world.phone()
    await phone.start()
    await phone.send(*UPLOAD)
    await eventually(lambda: world.engine.began)
    return phone


def picture_of(messages: list[pb.RenderResponse]) -> bytes:
    return b"".join(message.chunk for message in messages)


async def test_the_whole_trip(world: World) -> None:
    phone = world.phone()
    accepted = await phone.start()
    assert accepted.request_id == REQUEST_ID
    assert (accepted.max_chunk_bytes, accepted.max_photo_bytes) == (frames.MAX_CHUNK_BYTES, 32 << 20)
    assert len(accepted.resume_token) == 43
    await phone.send(*UPLOAD)
    messages = await phone.until("seal")
    kinds = [message.WhichOneof("message") for message in messages]
    assert kinds.count("scrubbed") == 1
    assert picture_of(messages) == world.engine.picture.data
    assert {service for service in world.books if world.held(service)} == {"gateway", "render"}
    await phone.send(DELIVERED)
    receipt = (await phone.read()).receipt
    assert (receipt.photo_id, receipt.bundle) == (accepted.photo_id, BUNDLE)
    with pytest.raises(EOFError):
        await phone.read()
    lease = await world.over("settled")
    assert lease.holders == ["gateway/gateway-0/00", "ingest/ingest-0/00", "render/render-0/00"]
    assert world.purge.settled_route == registry.DELIVERY_ROUTE_STREAM


async def test_several_at_once_with_a_phone_that_reads_late(world: World) -> None:
    """Progress, facts and picture all wait for the phone: two pumps write to it, and never at a time."""
    phones = [world.phone(f"user-{n}") for n in range(4)]
    for phone in phones:
        await phone.start()
        await phone.send(*UPLOAD)
    for phone in phones:
        assert picture_of(await phone.until("seal")) == world.engine.picture.data
        await phone.send(DELIVERED)
        assert (await phone.read()).receipt.bundle == BUNDLE


# --- before the lease ---


async def test_nothing_is_granted_to_whom_is_not_signed_in(world: World) -> None:
    phone = world.phone()
    phone.call.cancel()
    phone.call = world.channel.stream_stream("/mayfly.gateway.v1.PhotoService/Render")()
    await phone.send(pb.RenderRequest(start=pb.RenderStart()))
    assert type(await phone.refusal()) is Unauthenticated
    assert not world.purge.leases


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"scene_id": "nowhere"}, "UNKNOWN_SCENE"),
        ({"caption_id": "nonsense"}, "UNKNOWN_CAPTION"),
        ({"policy_version": "1999"}, "POLICY_VERSION"),
        ({"byte_count": 33 << 20}, "PHOTO_TOO_LARGE"),
    ],
)
async def test_a_wrong_order_gets_no_lease(world: World, changed: dict[str, object], reason: str) -> None:
    phone = world.phone()
    with pytest.raises(Invalid) as refusal:
        await phone.start(**changed)
    assert refusal.value.reason == reason
    assert not world.purge.leases
    refused = sample(world.books["gateway"].metrics, "mayfly_gateway_consent_refused_total")
    assert refused == (reason == "POLICY_VERSION")


async def test_a_photo_before_its_start_gets_no_lease(world: World) -> None:
    phone = world.phone()
    await phone.send(*UPLOAD[:1])
    assert (await phone.refusal()).reason == "START_MISSING"
    assert not world.purge.leases
    assert sample(world.books["gateway"].metrics, "mayfly_unleased_photos_total", service="gateway") == 1


async def test_who_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    async with running(tmp_path, start_seconds=0.1) as world:
        assert (await world.phone().refusal()).reason == "START_MISSING"
        assert not world.purge.leases


async def test_registry_away(world: World) -> None:
    world.purge.fail["GrantLease"] = Unavailable("REGISTRY_UNSAFE", "Persistence is on.", retry_after=5.0)
    with pytest.raises(Unavailable) as refusal:
        await world.phone().start()
    assert refusal.value.reason == "REGISTRY_UNSAFE"
    world.books["gateway"].leave(PURGE)
    with pytest.raises(Unavailable) as refusal:
        await world.phone().start()
    assert refusal.value.reason == "REGISTRY_UNAVAILABLE"
    assert not world.purge.leases


async def test_one_owners_places(tmp_path: Path) -> None:
    async with running(tmp_path, max_per_owner=1) as world:
        first = world.phone()
        await first.start()
        with pytest.raises(Exhausted) as refusal:
            await world.phone().start()
        assert refusal.value.reason == "OWNER_BUSY"
        first.call.cancel()
        await world.over("revoked")
        second = world.phone()
        await second.start()
        second.call.cancel()
        await eventually(lambda: world.books["gateway"].held == [])


# --- the upload ---


async def test_frames_before_accepted_are_not_read_before_the_lease(world: World) -> None:
    """R1. What gRPC takes off the wire by itself meanwhile is bounded by the stream's window."""
    world.purge.granting.clear()
    phone = world.phone()
    sent = 0

    async def pour() -> None:
        nonlocal sent
        for frame in upload(large_jpeg(), 256 << 10):
            await phone.send(frame)
            sent += len(frame)

    await phone.ask()
    pouring = asyncio.create_task(pour())
    steady, last = 0, -1

    def stuck() -> bool:
        nonlocal steady, last
        steady, last = (steady + 1 if sent == last else 0), sent
        return steady > 60

    await eventually(stuck)
    assert not any(world.held(service) for service in world.books)
    assert sample(world.books["gateway"].metrics, "mayfly_custody_bytes", service="gateway") == 0
    assert sent <= 3 << 20 < len(large_jpeg())
    world.purge.granting.set()
    assert (await phone.read()).accepted.photo_id
    await phone.until("seal")
    await phone.send(DELIVERED)
    await phone.until("receipt")
    await pouring
    await world.over("settled")


@pytest.mark.parametrize(
    ("sent", "reason", "why"),
    [
        (UPLOAD[:-1], "UPLOAD_UNSEALED", registry.REVOCATION_REASON_UPLOAD_ABORTED),
        ([], "UPLOAD_UNSEALED", registry.REVOCATION_REASON_UPLOAD_ABORTED),
        ([DELIVERED], "MALFORMED_FRAME", registry.REVOCATION_REASON_REFUSED),
        ([pb.RenderRequest(start=pb.RenderStart())], "MALFORMED_FRAME", registry.REVOCATION_REASON_REFUSED),
        ([b""], "MALFORMED_FRAME", registry.REVOCATION_REASON_REFUSED),
        ([chunk(b"x") + seal(1)], "MALFORMED_FRAME", registry.REVOCATION_REASON_REFUSED),
        ([chunk(b"not a photo"), seal(11)], "UNSUPPORTED_FORMAT", registry.REVOCATION_REASON_REFUSED),
        ([*UPLOAD[:-1], seal(1)], "BYTE_COUNT_MISMATCH", registry.REVOCATION_REASON_REFUSED),
        ([*UPLOAD[:-1], b"\x1a\x03\xff\xff\xff"], "MALFORMED_FRAME", registry.REVOCATION_REASON_REFUSED),
        ([chunk(bytes(frames.MAX_CHUNK_BYTES + 1))], "MALFORMED_FRAME", registry.REVOCATION_REASON_REFUSED),
    ],
)
async def test_bad_uploads_end_the_lease(world: World, sent: list[bytes], reason: str, why: int) -> None:
    phone = world.phone()
    await phone.start()
    await phone.send(*sent)
    if reason == "UPLOAD_UNSEALED":
        await phone.call.done_writing()
    error = await phone.refusal()
    assert error.reason == reason
    assert type(error) is (Aborted if reason == "UPLOAD_UNSEALED" else Invalid)
    assert (await world.over("revoked")).reason == why
    assert world.engine.began == 0
    assert world.refused(reason) == 1


async def test_hanging_up_during_the_upload(world: World) -> None:
    phone = world.phone()
    await phone.start()
    await phone.send(*UPLOAD[:3])
    await eventually(lambda: world.held("ingest"))
    phone.call.cancel()
    assert (await world.over("revoked")).reason == registry.REVOCATION_REASON_UPLOAD_ABORTED


async def test_hanging_up_at_accepted(world: World) -> None:
    phone = world.phone()
    await phone.start()
    phone.call.cancel()
    assert (await world.over("revoked")).reason == registry.REVOCATION_REASON_UPLOAD_ABORTED


async def test_hanging_up_while_the_lease_is_granted(world: World) -> None:
    world.purge.granting.clear()
    phone = world.phone()
    starting = asyncio.create_task(phone.start())
    await eventually(lambda: len(world.tasks))
    starting.cancel()
    phone.call.cancel()
    world.purge.granting.set()
    await eventually(lambda: world.purge.leases)
    assert (await world.over("revoked")).reason == registry.REVOCATION_REASON_UPLOAD_ABORTED


async def test_a_message_over_grpcs_limit_during_the_upload(world: World) -> None:
    phone = world.phone()
    await phone.start()
    await phone.send(chunk(bytes(2 << 20)))
    error = await phone.refusal()
    assert (type(error), error.reason) == (Invalid, "MESSAGE_TOO_LARGE")
    await world.over("revoked")


async def test_revoked_by_another_call_during_the_upload(world: World) -> None:
    """Purge tells each holder; here only the gateway hears of it, and takes the others with it."""
    phone = world.phone()
    await phone.start()
    await phone.send(*UPLOAD[:3])
    await eventually(lambda: world.held("ingest") and world.held("gateway"))
    world.lease.state = "revoked"
    book = world.books["gateway"]
    book.drop_all(Taken("PHOTO_REVOKED", "Taken back."), "revoked")
    assert (await phone.refusal()).reason == "PHOTO_REVOKED"
    await world.over("revoked")


async def test_the_lease_ends_during_the_upload(world: World) -> None:
    world.purge.ttl = 0.4
    phone = world.phone()
    await phone.start()
    await phone.send(*UPLOAD[:3])
    assert type(await phone.refusal()) is Overdue
    await world.over("live")  # purge ends it: the reaper's work


async def test_the_deadline_of_every_hop_is_the_leases_end(world: World) -> None:
    world.purge.ttl = 0.5
    phone = await uploaded(world)
    assert (world.held("gateway"), world.held("ingest"), world.held("render")) == (1, 0, 1)
    assert type(await phone.refusal()) is Overdue
    await eventually(lambda: not world.held("gateway"))
    assert world.held("render"), "a thread has it"
    world.engine.may_finish.set()
    await world.over("live")


# --- the render ---


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


async def test_the_gateway_collects_nothing(world: World) -> None:
    """Of an upload of 7 MB it never has more than a few frames in hand, with ingest at full speed and a full queue."""
    highest = 0.0
    gateway = world.books["gateway"].metrics

    async def watch() -> None:
        nonlocal highest
        while True:
            highest = max(highest, sample(gateway, "mayfly_custody_bytes", service="gateway"))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    phone = world.phone()
    await phone.start()
    sending = asyncio.create_task(phone.send(*upload(large_jpeg(), 512 << 10)))
    await phone.until("seal")
    await phone.send(DELIVERED)
    await phone.until("receipt")
    watching.cancel()
    await sending
    assert 0 < highest <= 3 << 20
    await world.over("settled")


async def test_revoked_during_the_render(world: World) -> None:
    phone = await uploaded(world)
    world.lease.state = "revoked"
    for book in world.books.values():
        book.drop_all(Taken("PHOTO_REVOKED", "Taken back."), "revoked")
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
    world.purge.at_park = lambda: world.books["render"].drop_all(Unavailable("ENGINE_AWAY", "Away."), "shutdown")
    world.engine.may_finish.set()
    assert (await world.over("revoked")).reason == registry.REVOCATION_REASON_PEER_LOST
    assert world.refused("ENGINE_AWAY") == 1


async def test_render_lost_after_the_delivery_changes_nothing(world: World) -> None:
    phone = world.phone()
    await phone.start()
    await phone.send(*UPLOAD)
    await phone.until("seal")
    world.books["render"].drop_all(Unavailable("ENGINE_AWAY", "Away."), "shutdown")
    await eventually(lambda: not world.held("render"))
    await phone.send(DELIVERED)
    assert (await phone.read()).receipt.bundle == BUNDLE
    await world.over("settled")


async def test_render_lost_before_the_picture_is_out(world: World) -> None:
    phone = await uploaded(world)
    world.books["render"].drop_all(Unavailable("ENGINE_AWAY", "Away."), "shutdown")
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
