"""IngestService behind a real server: what goes in and comes out, and that custody ends however the call does."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from mayfly.photo.v1 import photo_pb2 as pb
from mesh import frames
from mesh.attestation import AttestationVerifier, Attester, Statement
from mesh.clock import SystemClock
from mesh.custody.metadata import EXPIRE_TIME, PHOTO_ID, holder_of
from mesh.errors import Aborted, Cancelled, Denied, Invalid, NotFound, Overdue, Unavailable
from mesh.testing.wait import eventually
from services.ingest.isolated.convert import Converter, unmetered
from services.ingest.limits import Limits
from services.ingest.metrics import IngestMetrics
from services.ingest.scrub import Scrubber
from services.ingest.servicer import IngestServicer
from services.ingest.wiring import ALLOWED
from tests.photos import CANARY, jpeg, jpeg_metadata, png, webp, with_segments
from tests.unit.services.servicing import HOLDER, Trip, chunk, gone, large_jpeg, recorder, seal, upload
from tests.unit.serving import PURGE, calling, error_of, identity, new_book, new_lease, no_tasks_beside, sample, served

METHOD = "/mayfly.ingest.v1.IngestService/Scrub"


class World:
    def __init__(self, limits: Limits) -> None:
        self.book = new_book("ingest")
        self.servicer = IngestServicer(
            book=self.book,
            holder=HOLDER,
            limits=limits,
            converter=Converter(limits, metrics=unmetered()),  # never started: nothing here needs it
            attester=Attester(identity("ingest")),
            metrics=IngestMetrics(self.book.metrics.registry),
        )
        self.address = ""
        self.method: Any = None
        self.lease = new_lease()

    def trip(self, **options: Any) -> Trip:
        return Trip(self.method, options.pop("lease", self.lease), **options)

    async def scrub(self, sent: list[bytes]) -> list[bytes]:
        """The whole exchange: writes and reads side by side."""
        trip = self.trip()

        async def send() -> None:
            await trip.send(*sent)
            await trip.call.done_writing()

        sending = asyncio.create_task(send())
        found = await trip.rest()
        await sending
        return found

    def refused(self, reason: str) -> float:
        return sample(self.book.metrics, "mayfly_ingest_refused_total", reason=reason)


@asynccontextmanager
async def running(**limits: int) -> AsyncIterator[World]:
    before = asyncio.all_tasks()
    world = World(Limits(**limits))
    async with (
        served(world.servicer.add_to, service="ingest", allowed=ALLOWED, metrics=world.book.metrics) as address,
        calling(address, "ingest") as channel,
    ):
        world.address, world.method = address, channel.stream_stream(METHOD)
        yield world
        await eventually(lambda: not world.book.held)
    await no_tasks_beside(before)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


def planted() -> bytes:
    return with_segments(jpeg(400, 300, quality=95), [(0, jpeg_metadata()["rich exif"]), (3, jpeg_metadata()["xmp"])])


def scrubbed(photo: bytes) -> bytes:
    scrubber = Scrubber(Limits())
    pieces = [bytes(piece) for piece in scrubber.feed(photo)]
    return b"".join(pieces + [bytes(piece) for piece in scrubber.finish()[0]])


def checked(world: World, found: list[bytes]) -> tuple[pb.ScrubbedHeader, bytes, pb.ScrubbedHeader]:
    """The header, the bytes and the attested header of a stream; the attestation holds."""
    header, *chunks, last = [pb.PhotoFrame.FromString(frame) for frame in found]
    data = b"".join(frame.chunk for frame in chunks)
    attestation = last.seal.attestation
    assert last.seal.byte_count == len(data)
    statement = Statement(world.lease.photo_id, len(data), hashlib.sha256(data).digest(), attestation.scrubbed_header)
    verifier = AttestationVerifier(identity("render"), "ingest", SystemClock())
    verifier.verify(statement, attestation.signature, attestation.certificate)
    other = Statement("0" * 32, statement.byte_count, statement.digest, statement.header)
    with pytest.raises(Denied):
        verifier.verify(other, attestation.signature, attestation.certificate)
    return header.header.scrubbed, data, pb.ScrubbedHeader.FromString(attestation.scrubbed_header)


@pytest.mark.parametrize("size", [7, 1000, 4096, 65536, frames.MAX_CHUNK_BYTES])
async def test_any_chunking_gives_the_same_attested_photo(world: World, size: int) -> None:
    photo = planted()
    header, data, attested = checked(world, await world.scrub(upload(photo, size)))
    assert data == scrubbed(photo)
    assert CANARY in photo
    assert CANARY not in data
    assert (header.format, header.width, header.height) == (pb.PHOTO_FORMAT_JPEG, 400, 300)
    assert {removed.kind for removed in attested.removed} >= {"exif", "gps", "xmp"}
    await gone(world.book)
    assert sample(world.book.metrics, "mayfly_ingest_photos_total", format="jpeg") == 1
    assert sample(world.book.metrics, "mayfly_ingest_removed_bytes_total", kind="gps") > 0


async def test_uneven_chunks_around_the_limit_never_make_a_frame_that_is_too_large(world: World) -> None:
    photo = large_jpeg()
    sizes = random.Random(3).choices([1, 100, 511 << 10, 513 << 10, 1 << 20], k=100)
    sent, at = [], 0
    while at < len(photo):
        size = sizes.pop()
        sent.append(chunk(photo[at : at + size]))
        at += size
    found = await world.scrub([*sent, seal(len(photo))])
    assert max(map(len, found)) <= frames.MAX_FRAME_BYTES
    assert checked(world, found)[1] == scrubbed(photo)


@pytest.mark.parametrize(("photo", "kind"), [(png(), pb.PHOTO_FORMAT_PNG), (webp(), pb.PHOTO_FORMAT_WEBP)])
async def test_other_formats(world: World, photo: bytes, kind: int) -> None:
    assert checked(world, await world.scrub(upload(photo, 50)))[0].format == kind


async def test_it_says_who_it_is_before_the_first_byte(world: World) -> None:
    trip = world.trip()
    assert holder_of(await trip.call.initial_metadata()) == HOLDER
    await eventually(lambda: world.book.held == [world.lease.photo_id])
    trip.call.cancel()


async def test_frames_leave_while_others_still_arrive(world: World) -> None:
    photo = large_jpeg()
    trip = world.trip()
    sending = asyncio.create_task(trip.send(*upload(photo, 256 << 10)[:-1]))
    first = pb.PhotoFrame.FromString(await trip.read())
    assert first.header.scrubbed.width == 2400
    assert len(pb.PhotoFrame.FromString(await trip.read()).chunk) == frames.FRAME_CHUNK_BYTES
    sending.cancel()
    trip.call.cancel()


async def test_unsealed(world: World) -> None:
    trip = world.trip()
    await trip.send(*upload(planted(), 5000)[:-1])
    await trip.call.done_writing()
    error = await trip.refusal()
    assert (type(error), error.reason) == (Aborted, "UPLOAD_UNSEALED")
    await gone(world.book)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([], "UPLOAD_UNSEALED"),
        ([seal(0)], "EMPTY_PHOTO"),
        ([chunk(jpeg()), seal(len(jpeg()) + 1)], "BYTE_COUNT_MISMATCH"),
        ([chunk(jpeg()), seal(0)], "BYTE_COUNT_MISMATCH"),
        ([chunk(jpeg()[:-40]), seal(len(jpeg()) - 40)], "TRUNCATED_PHOTO"),
        ([chunk(b"%PDF-1.7\n" + bytes(50)), seal(59)], "UNSUPPORTED_FORMAT"),
        ([chunk(b"")], "MALFORMED_FRAME"),
        ([b""], "MALFORMED_FRAME"),
        ([chunk(b"x") + seal(1)], "MALFORMED_FRAME"),
        ([chunk(bytes(frames.MAX_CHUNK_BYTES + 1))], "MALFORMED_FRAME"),
        ([pb.PhotoFrame(header=pb.PhotoHeader()).SerializeToString()], "MALFORMED_FRAME"),
        ([pb.PhotoFrame(progress=pb.Progress()).SerializeToString()], "MALFORMED_FRAME"),
        ([pb.PhotoFrame(replay=pb.Replay()).SerializeToString()], "MALFORMED_FRAME"),
        ([b"\xfa\x06\x01x"], "MALFORMED_FRAME"),
        ([b"\x1a\x03\xff\xff\xff"], "MALFORMED_FRAME"),
        ([chunk(jpeg()), b"\x1a\x02\x08"], "MALFORMED_FRAME"),
    ],
)
async def test_bad_uploads(world: World, sent: list[bytes], reason: str) -> None:
    trip = world.trip()
    await trip.send(*sent)
    await trip.call.done_writing()
    error = await trip.refusal()
    assert error.reason == reason
    assert type(error) is (Aborted if reason == "UPLOAD_UNSEALED" else Invalid)
    await gone(world.book)
    assert world.refused(reason) == (reason != "UPLOAD_UNSEALED")


async def test_a_message_over_grpcs_limit(world: World) -> None:
    """Sent by a caller without our limits."""
    async with grpc.aio.secure_channel(
        world.address,
        identity("gateway").channel_credentials(),
        options=(("grpc.ssl_target_name_override", "ingest.mayfly.internal"),),
    ) as channel:
        trip = Trip(channel.stream_stream(METHOD), world.lease)
        await trip.send(chunk(bytes(2 << 20)))
        error = await trip.refusal()
    assert (type(error), error.reason) == (Invalid, "MESSAGE_TOO_LARGE")
    await gone(world.book)


async def test_a_forged_attestation_in_the_uploads_seal_is_not_passed_on(world: World) -> None:
    attestation = pb.Attestation(scrubbed_header=b"x", signature=b"y", certificate=b"z")
    photo = jpeg()
    forged = pb.PhotoFrame(seal=pb.PhotoSeal(byte_count=len(photo), attestation=attestation)).SerializeToString()
    found = await world.scrub([chunk(photo), forged])
    checked(world, found)
    assert pb.PhotoFrame.FromString(found[-1]).seal.attestation.scrubbed_header != b"x"


async def test_too_large_is_refused_in_the_midst() -> None:
    async with running(max_bytes=100_000) as world:
        trip = world.trip()
        sending = asyncio.create_task(trip.send(*upload(large_jpeg(), 64 << 10)))
        error = await trip.refusal()
        assert (error.reason, error.limit) == ("PHOTO_TOO_LARGE", 100_000)
        await gone(world.book)
        await sending


async def test_nobody_listens(world: World) -> None:
    world.book.leave(PURGE)
    error = await world.trip().refusal()
    assert (type(error), error.reason) == (Unavailable, "REGISTRY_UNAVAILABLE")
    assert error.retry_after
    assert recorder(world.book).events == []


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [(PHOTO_ID, "0" * 32)],
        [(EXPIRE_TIME, "99999999999999")],
        [(PHOTO_ID, "x"), (EXPIRE_TIME, "99999999999999")],
        [(PHOTO_ID, "0" * 32), (EXPIRE_TIME, "soon")],
    ],
)
async def test_no_lease(world: World, metadata: list[tuple[str, str | bytes]]) -> None:
    trip = world.trip(lease=None, metadata=metadata)
    assert type(await trip.refusal()) is Invalid
    assert recorder(world.book).events == []


async def test_an_expired_lease(world: World) -> None:
    assert type(await world.trip(lease=new_lease(-1)).refusal()) is Overdue
    assert recorder(world.book).events == []


async def test_a_revoked_lease(world: World) -> None:
    world.book.revoke(world.lease)
    assert type(await world.trip().refusal()) is NotFound


async def test_a_second_scrub_of_the_same_photo(world: World) -> None:
    first = world.trip()
    await first.call.initial_metadata()
    await eventually(lambda: world.book.held)
    error = await world.trip().refusal()
    assert (type(error), error.reason) == (Invalid, "PHOTO_IN_USE")
    assert world.book.held == [world.lease.photo_id], "the first still holds it"
    await first.send(*upload(jpeg(), 1000))
    checked(world, await first.rest())
    await gone(world.book)


async def test_cancelled_in_the_midst_of_the_upload(world: World) -> None:
    trip = world.trip()
    await trip.send(*upload(planted(), 1000)[:10])
    await eventually(lambda: sample(world.book.metrics, "mayfly_custody_bytes", service="ingest") == 10_000)
    trip.call.cancel()
    await gone(world.book)


async def test_revoked_in_the_midst_of_the_upload(world: World) -> None:
    trip = world.trip()
    await trip.send(*upload(planted(), 1000)[:10])
    await eventually(lambda: sample(world.book.metrics, "mayfly_custody_bytes", service="ingest") == 10_000)
    world.book.revoke(world.lease)
    error = await trip.refusal()
    assert (type(error), error.reason) == (Cancelled, "PHOTO_REVOKED")
    await gone(world.book)
    assert [event for event, _ in recorder(world.book).events] == ["held", "released", "confirmed"]
    assert type(await world.trip().refusal()) is NotFound


async def test_overdue_in_the_midst_of_the_upload(world: World) -> None:
    """By ingest's own clock: the caller has set no deadline."""
    trip = world.trip(lease=new_lease(0.3))
    await trip.send(*upload(planted(), 1000)[:10])
    assert type(await trip.refusal()) is Overdue
    await gone(world.book)


async def test_the_callers_deadline(world: World) -> None:
    trip = world.trip(timeout=0.3)
    await trip.send(*upload(planted(), 1000)[:10])
    assert await trip.call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await gone(world.book)


async def test_revoked_while_the_caller_does_not_read(world: World) -> None:
    """The answer waits in a full window; custody doesn't wait with it."""
    trip = world.trip()
    sending = asyncio.create_task(trip.send(*upload(large_jpeg(), 512 << 10)))
    await _until_stuck(world)
    world.book.revoke(world.lease)
    await gone(world.book)
    assert type(await trip.refusal()) is Cancelled
    await sending


async def test_a_caller_that_does_not_read_is_not_read_from(world: World) -> None:
    """Back-pressure: of a large photo only the windows and a few frames are taken."""
    photo = large_jpeg()
    trip = world.trip()
    sending = asyncio.create_task(trip.send(*upload(photo, 512 << 10)))
    taken = await _until_stuck(world)
    assert taken <= 3 << 20 < len(photo)
    assert not sending.done()
    assert b"".join(pb.PhotoFrame.FromString(frame).chunk for frame in await trip.until_seal()) == scrubbed(photo)
    await sending


async def test_frames_after_the_seal_are_not_read(world: World) -> None:
    found = await world.scrub([*upload(jpeg(), 1000), chunk(b"more"), seal(4)])
    assert checked(world, found)[1] == scrubbed(jpeg())


async def test_many_at_a_time(world: World) -> None:
    photo = planted()

    async def one() -> bytes:
        trip = world.trip(lease=new_lease())
        sending = asyncio.create_task(trip.send(*upload(photo, 3000)))
        found = await trip.rest()
        await sending
        return b"".join(pb.PhotoFrame.FromString(frame).chunk for frame in found)

    assert set(await asyncio.gather(*(one() for _ in range(20)))) == {scrubbed(photo)}
    await gone(world.book, photos=20)


async def test_only_the_gateway_may_call(world: World) -> None:
    async with calling(world.address, "ingest", caller="render") as channel:
        error = await error_of(Trip(channel.stream_stream(METHOD), world.lease).call)
    assert type(error) is Denied
    assert recorder(world.book).events == []


async def _until_stuck(world: World) -> float:
    """Until ingest has taken something, and takes nothing more; how much that is."""
    steady, last = 0, -1.0

    def stuck() -> bool:
        nonlocal steady, last
        taken = sample(world.book.metrics, "mayfly_custody_bytes", service="ingest")
        steady = steady + 1 if taken == last and taken > 0 else 0
        last = taken
        return steady > 60

    await eventually(stuck)
    return last
