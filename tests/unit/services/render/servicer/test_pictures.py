"""RenderService behind a real server: only attested frames reach the engine, and pictures come whole."""

from __future__ import annotations

import hashlib

import pytest

from mayfly.photo.v1 import photo_pb2 as photo
from mesh.attestation import Attester
from mesh.custody.metadata import holder_of
from mesh.errors import Aborted, Denied, Invalid, Overdue, Unavailable
from services.render.engines.null import NullEngine
from services.render.servicer import OPTIONS
from tests.photos import jpeg
from tests.unit.services.render.servicer.world import (
    PICTURE,
    SCENE,
    World,
    options,
    parsed,
    running,
    scrubbed,
)
from tests.unit.services.servicing import HOLDER, chunk, gone, recorder, seal
from tests.unit.serving import (
    PURGE,
    identity,
    new_lease,
)


async def test_a_picture(quick: World) -> None:
    trip = quick.trip(metadata=options(seed=7, locale="fr"))
    await trip.send(*scrubbed(quick.lease.photo_id))
    assert holder_of(await trip.call.initial_metadata()) == HOLDER
    progress, header, data, byte_count = parsed(await trip.until_seal())
    assert data == PICTURE.data
    assert (header.media_type, header.width, header.height) == ("image/jpeg", 640, 480)
    assert header.byte_count == byte_count == len(PICTURE.data)
    assert progress[-1].fraction == 1.0
    job = quick.stepped.jobs[0]
    assert b"".join(job.photo) == jpeg(300, 200, quality=95)
    assert (job.format, job.width, job.height, job.orientation) == ("jpeg", 300, 200, 6)
    assert (job.scene_id, job.seed, job.locale) == (SCENE.id, 7, "fr")
    assert quick.book.held, "held until the gateway lets go"
    await trip.call.done_writing()
    assert await trip.rest() == []
    await gone(quick.book)
    assert quick.value("seconds_count", scene_kind=SCENE.kind) == 1
    assert quick.value("step_seconds_count", step="decode") == 1


async def test_the_null_engine() -> None:
    async with running(NullEngine()) as world:
        for _ in range(30):  # progress and picture follow each other closely: the place for a race between two writes
            lease = new_lease()
            trip = world.trip(lease=lease)
            await trip.send(*scrubbed(lease.photo_id))
            await trip.call.done_writing()
            progress, header, data, _ = parsed(await trip.rest())
            assert (header.width, data[:2]) == (16, b"\xff\xd8")
            assert progress[-1].fraction == 1.0
        await gone(world.book, photos=30)


async def test_progress_never_falls(world: World) -> None:
    trip = await world.rendering()
    first = photo.PhotoFrame.FromString(await trip.read()).progress
    assert first.stage == photo.STAGE_RENDERING
    world.stepped.go_on.release()
    progress = [first, *parsed(await trip.until_seal())[0]]
    fractions = [told.fraction for told in progress]
    assert fractions == sorted(fractions)
    assert {told.step for told in progress} <= {"decode", "backdrop", "encode"}
    await trip.call.done_writing()
    await trip.rest()


async def test_replays_are_identical(quick: World) -> None:
    trip = quick.trip()
    await trip.send(*scrubbed(quick.lease.photo_id))
    found = await trip.until_seal()
    picture = found[len(parsed(found)[0]) :]
    replay = photo.PhotoFrame(replay=photo.Replay()).SerializeToString()
    for _ in range(3):
        await trip.send(replay)
        assert await trip.until_seal() == picture
    await trip.call.done_writing()
    assert await trip.rest() == []
    await gone(quick.book)
    assert len(quick.stepped.jobs) == 1


@pytest.mark.parametrize("late", [chunk(b"more"), seal(1), b"", b"\xfa\x06\x01x", b"\x2a\x00\x2a\x00"])
async def test_nothing_but_a_replay_may_follow_the_seal(quick: World, late: bytes) -> None:
    trip = quick.trip()
    await trip.send(*scrubbed(quick.lease.photo_id))
    await trip.until_seal()
    await trip.send(late)
    error = await trip.refusal()
    assert (type(error), error.reason) == (Invalid, "MALFORMED_FRAME")
    await gone(quick.book)


FLIPPED = hashlib.sha256(b"other").digest()


@pytest.mark.parametrize(
    "altered",
    [
        {"signature": b""},
        {"signature": FLIPPED},
        {"certificate": b""},
        {"certificate": Attester(identity("gateway")).certificate},
        {"scrubbed_header": b""},
        {"scrubbed_header": photo.ScrubbedHeader(format=photo.PHOTO_FORMAT_JPEG, width=9).SerializeToString()},
    ],
)
async def test_an_altered_attestation_reaches_no_engine(quick: World, altered: dict[str, bytes]) -> None:
    error = await quick.refusal(*scrubbed(quick.lease.photo_id, **altered))
    assert (type(error), error.reason) == (Denied, "ATTESTATION_INVALID")
    assert quick.stepped.jobs == []
    await gone(quick.book)


async def test_frames_that_ingest_did_not_attest_reach_no_engine(quick: World) -> None:
    photo_id = quick.lease.photo_id
    good = scrubbed(photo_id, size=5000)
    data = bytearray(good[1])
    data[-1] ^= 1
    cases = {
        "another photo": scrubbed("0" * 32),
        "another signer": scrubbed(photo_id, attester=Attester(identity("gateway"))),
        "another CA": scrubbed(photo_id, attester=Attester(identity("ingest", "theirs"))),
        "a flipped bit": [good[0], bytes(data), *good[2:]],
        "another order": [good[0], good[2], good[1], *good[3:]],
    }
    for number, (what, sent) in enumerate(cases.items(), 1):
        error = await quick.refusal(*sent)
        assert error.reason == "ATTESTATION_INVALID", what
        await gone(quick.book, photos=number)
    assert quick.stepped.jobs == []


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([], "UPLOAD_UNSEALED"),
        ([chunk(b"x")], "UPLOAD_UNSEALED"),
        ([chunk(b"x"), seal(2)], "BYTE_COUNT_MISMATCH"),
        ([seal(0)], "ATTESTATION_INVALID"),
        ([chunk(b"x"), seal(1)], "ATTESTATION_INVALID"),
        ([photo.PhotoFrame(replay=photo.Replay()).SerializeToString()], "MALFORMED_FRAME"),
        ([photo.PhotoFrame(progress=photo.Progress()).SerializeToString()], "MALFORMED_FRAME"),
        ([chunk(b"x"), photo.PhotoFrame(header=photo.PhotoHeader()).SerializeToString()], "MALFORMED_FRAME"),
        ([b"\x02\x00"], "MALFORMED_FRAME"),
        ([b"\xfa\x06\x01x"], "MALFORMED_FRAME"),
        ([b""], "MALFORMED_FRAME"),
        ([chunk(b"")], "MALFORMED_FRAME"),
        ([b"\x1a\x03\xff\xff\xff"], "MALFORMED_FRAME"),
    ],
)
async def test_bad_streams(quick: World, sent: list[bytes], reason: str) -> None:
    error = await quick.refusal(*sent)
    assert error.reason == reason
    expected = {"UPLOAD_UNSEALED": Aborted, "ATTESTATION_INVALID": Denied}.get(reason, Invalid)
    assert type(error) is expected
    assert quick.stepped.jobs == []
    await gone(quick.book)


async def test_too_large() -> None:
    async with running(max_bytes=10_000) as world:
        error = await world.refusal(*scrubbed(world.lease.photo_id, bytes(20_000), size=4000))
        assert (error.reason, error.limit) == ("PHOTO_TOO_LARGE", 10_000)
        await gone(world.book)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ([], "OPTIONS_MISSING"),
        ([(OPTIONS, b"\xff")], "OPTIONS_MISSING"),
        (options(""), "UNKNOWN_SCENE"),
        (options("../enhance"), "UNKNOWN_SCENE"),
        (options(caption_id="nonsense"), "UNKNOWN_CAPTION"),
    ],
)
async def test_bad_options_take_no_custody(quick: World, metadata: list[tuple[str, str | bytes]], reason: str) -> None:
    error = await quick.refusal(metadata=metadata)
    assert (type(error), error.reason) == (Invalid, reason)
    assert recorder(quick.book).events == []


async def test_no_lease_and_nobody_who_listens(quick: World) -> None:
    assert (await quick.refusal(lease=None)).reason == "LEASE_MISSING"
    assert type(await quick.refusal(lease=new_lease(-1))) is Overdue
    quick.book.leave(PURGE)
    assert type(await quick.refusal()) is Unavailable
    assert recorder(quick.book).events == []
