"""A photo's trip up to its seal: no lease for whom it isn't for, and an upload that breaks ends its lease."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.purge.v1 import registry_pb2 as registry
from mesh import frames
from mesh.errors import Aborted, Exhausted, Invalid, Overdue, Unauthenticated, Unavailable
from mesh.errors import Cancelled as Taken
from mesh.testing.wait import eventually
from tests.unit.services.gateway.journey.trips import DELIVERED, PHOTO, UPLOAD, picture_of, uploaded
from tests.unit.services.gateway.world import BUNDLE, REQUEST_ID, World, running
from tests.unit.services.servicing import chunk, large_jpeg, seal, upload
from tests.unit.serving import PURGE, drop_all, sample


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


@pytest.mark.parametrize(
    ("first", "unleased"),
    [
        (UPLOAD[0], 1),
        (chunk(b"a piece"), 1),
        (PHOTO, 0),  # a photo as it is, which is no message of ours
        (pb.RenderRequest(start=pb.RenderStart(scene_id="x" * 5000)), 0),
    ],
    ids=["chunk", "small_chunk", "raw", "in_a_field"],
)
async def test_a_photo_before_its_start_gets_no_lease_and_is_swept_up_after(
    world: World, first: Any, unleased: int
) -> None:
    book, swept = world.books["gateway"], list[str]()
    book.after_release = lambda: swept.append("asked")
    phone = world.phone()
    await phone.send(first)
    assert (await phone.refusal()).reason in ("START_MISSING", "REQUEST_ID")
    assert not world.purge.leases
    assert sample(book.metrics, "mayfly_unleased_photos_total", service="gateway") == unleased
    assert swept == ["asked"]


async def test_a_small_mistake_is_not_swept_up_after(world: World) -> None:
    book, swept = world.books["gateway"], list[str]()
    book.after_release = lambda: swept.append("asked")
    phone = world.phone()
    await phone.send(b"\xff")
    assert (await phone.refusal()).reason == "START_MISSING"
    assert swept == []


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
    drop_all(book, Taken("PHOTO_REVOKED", "Taken back."))
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
