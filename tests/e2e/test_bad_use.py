"""What bad use gets: a typed error that says what to do; and afterwards no custody, no key, one receipt."""

from __future__ import annotations

import time
import zlib

import jwt
import pytest

from clients.local.sign_in import AUDIENCE, ISSUER
from mayfly.gateway.v1 import gateway_pb2 as pb
from mayfly.photo.v1 import photo_pb2
from mesh import errors
from tests import photos
from tests.e2e import books
from tests.e2e.phone import Phone

SCENE = "bright_day"


async def refused(mesh, upload, kind: type[errors.MeshError], reason: str) -> errors.MeshError:
    error = await upload.error()
    assert (type(error), error.reason) == (kind, reason)
    assert len(error.message) > 15, "a sentence that says what to do"
    if upload.accepted.photo_id:
        receipt = (await books.balance(mesh))[upload.accepted.photo_id]
        assert receipt.outcome != "settled"
    return error


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "EMPTY_PHOTO"),
        (b"%PDF-1.7\n" + bytes(500), "UNSUPPORTED_FORMAT"),
        (b"just some text, not an image at all" * 20, "UNSUPPORTED_FORMAT"),
        (photos.jpeg()[:-40], "TRUNCATED_PHOTO"),
    ],
    ids=["empty", "pdf", "text", "truncated"],
)
async def test_not_a_photo(mesh, phone, data, reason):
    upload = await (await phone.render().start(SCENE)).upload(data)
    error = await refused(mesh, upload, errors.Invalid, reason)
    assert error.field and error.field.startswith("photo")


async def test_too_many_pixels_are_refused_before_any_decode(mesh, phone):
    bomb = bytearray(photos.png(8, 8))
    bomb[16:24] = (50_000).to_bytes(4, "big") * 2  # IHDR's width and height
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    upload = await (await phone.render().start(SCENE)).upload(bytes(bomb))
    error = await upload.error()
    assert error.reason in {"DIMENSION_TOO_LARGE", "TOO_MANY_PIXELS"} and error.limit
    await books.balance(mesh)


async def test_too_large_is_refused_before_it_is_sent(mesh, phone):
    upload = phone.render()
    with pytest.raises(errors.Invalid) as raised:
        await upload.start(SCENE, byte_count=1 << 40)
    assert raised.value.reason == "PHOTO_TOO_LARGE" and raised.value.limit == 32 << 20


async def test_too_large_is_refused_while_it_is_sent(fresh_mesh):
    mesh = fresh_mesh({"ingest": {"MAYFLY_INGEST_MAX_BYTES": "100000"}, "render": {"MAYFLY_RENDER_ENGINE": "null"}})
    async with Phone(mesh) as phone:
        upload = await (await phone.render().start(SCENE)).send(photos.jpeg(1600, 1200, quality=100))
        error = await refused(mesh, upload, errors.Invalid, "PHOTO_TOO_LARGE")
        assert error.limit == 100_000


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"scene": "no_such_scene"}, "UNKNOWN_SCENE", "start.scene_id"),
        ({"caption_id": "no_such_caption"}, "UNKNOWN_CAPTION", "start.caption_id"),
        ({"policy_version": "1999-01"}, "POLICY_VERSION", "start.policy_version"),
        ({"request_id": "my photo"}, "REQUEST_ID", "start.request_id"),
        ({"nonce_commitment": b"short"}, "NONCE_COMMITMENT_SIZE", "start.nonce_commitment"),
        ({"ttl": 0.001}, None, "ttl"),
        ({"ttl": 86_400.0}, None, "ttl"),
    ],
)
async def test_a_wrong_start_gets_no_lease(mesh, phone, fields, reason, field):
    before = len(books.receipts(mesh))
    with pytest.raises(errors.Invalid) as raised:
        await phone.render().start(fields.pop("scene", SCENE), **fields)
    assert reason is None or raised.value.reason == reason
    assert raised.value.field and raised.value.field.endswith(field)
    await books.balance(mesh)
    assert len(books.receipts(mesh)) == before


@pytest.mark.parametrize("token", ["", "Bearer nonsense", "Bearer a.b.c", "Basic dXNlcjpwdw=="])
async def test_a_wrong_token(mesh, phone, token):
    phone.metadata = (("authorization", token),) if token else ()
    with pytest.raises(errors.Unauthenticated):
        await phone.render().start(SCENE)
    with pytest.raises(errors.Unauthenticated):
        await phone.ask("ListScenes", pb.ListScenesRequest())
    with pytest.raises(errors.Unauthenticated):
        await phone.collect("0" * 32, "x")


def expired_token(mesh) -> str:
    """Signed by the right key, too old for an hour."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "parent", "iat": now - 7200, "exp": now - 3600}
    return jwt.encode(claims, (mesh.state.pki / "issuer.key").read_text(), algorithm="EdDSA")


async def test_an_expired_token(mesh, phone):
    phone.metadata = (("authorization", f"Bearer {expired_token(mesh)}"),)
    with pytest.raises(errors.Unauthenticated) as raised:
        await phone.render().start(SCENE)
    assert raised.value.reason == "TOKEN_EXPIRED"


async def test_a_lease_that_expires_during_the_upload(mesh, phone, portrait):
    for ttl in (1.5, 6.0, 24.0):  # longer where render knows from pictures before that this one would come too late
        upload = await (await phone.render().start(SCENE, ttl=ttl)).send(portrait[0][:20_000])
        error = await upload.error()
        if error is not None and error.reason != "RENDER_TOO_LATE":
            break
    assert isinstance(error, errors.Overdue) and error.reason == "LEASE_EXPIRED"
    receipt = (await books.balance(mesh))[upload.accepted.photo_id]
    assert (receipt.outcome, receipt.reason) == ("expired", "overdue")


async def test_an_upload_without_its_seal(mesh, phone, portrait):
    upload = await (await phone.render().start(SCENE)).send(portrait[0])
    await upload.call.done_writing()
    await refused(mesh, upload, errors.Aborted, "UPLOAD_UNSEALED")


async def test_a_client_that_goes_in_the_middle_of_the_upload(mesh, phone, portrait):
    upload = await (await phone.render().start(SCENE)).send(portrait[0][:20_000])
    upload.hang_up()
    receipt = (await books.balance(mesh))[upload.accepted.photo_id]
    assert (receipt.outcome, receipt.reason) == ("revoked", "upload_aborted")


async def test_a_seal_that_counts_wrong(mesh, phone, portrait):
    upload = await (await phone.render().start(SCENE)).send(portrait[0])
    await upload.seal(len(portrait[0]) + 1)
    await refused(mesh, upload, errors.Invalid, "BYTE_COUNT_MISMATCH")


async def test_a_header_that_claims_to_be_scrubbed(mesh, phone, portrait):
    upload = await phone.render().start(SCENE)
    forged = photo_pb2.PhotoFrame(header=photo_pb2.PhotoHeader(scrubbed=photo_pb2.ScrubbedHeader(width=1)))
    await upload.write(pb.RenderRequest.FromString(forged.SerializeToString()))
    await refused(mesh, upload, errors.Invalid, "MALFORMED_FRAME")


async def test_a_photo_that_is_too_small_for_its_scene(mesh, phone):
    upload = await (await phone.render().start(SCENE)).upload(photos.jpeg(48, 32))
    await refused(mesh, upload, errors.Invalid, "PHOTO_TOO_SMALL")


async def test_revoking_what_is_not_mine(mesh, phone, portrait):
    upload = await phone.render().start(SCENE)
    async with Phone(mesh, "stranger") as stranger:
        for photo_id in (upload.accepted.photo_id, "0" * 32, "nonsense"):
            with pytest.raises(errors.NotFound):
                await stranger.ask("Revoke", pb.RevokeRequest(photo_id=photo_id))
    upload.hang_up()
    await books.balance(mesh)


async def test_the_owner_takes_a_photo_back_while_it_is_rendered(mesh, phone, portrait):
    upload = await (await phone.render().start("moonlit_hills")).upload(portrait[0])
    await upload.until("progress")
    reply = await phone.ask("Revoke", pb.RevokeRequest(photo_id=upload.accepted.photo_id))
    error = await upload.error()
    assert isinstance(error, errors.Cancelled) and error.reason == "PHOTO_REVOKED"
    receipt = (await books.balance(mesh))[upload.accepted.photo_id]
    assert (receipt.outcome, receipt.reason) == ("revoked", "requested")
    if reply.HasField("receipt"):
        assert reply.receipt.photo_id == upload.accepted.photo_id


async def test_delete_my_data(mesh, phone, portrait):
    uploads = [await phone.render().start(SCENE) for _ in range(3)]
    await uploads[1].send(portrait[0][:10_000])
    async with Phone(mesh, "neighbour") as neighbour:
        other = await neighbour.render().start(SCENE)
        reply = await phone.ask("RevokeAll", pb.RevokeAllRequest())
        mine = {upload.accepted.photo_id for upload in uploads}
        assert {receipt.photo_id for receipt in reply.receipts} | set(reply.pending_photo_ids) == mine
        for upload in uploads:
            assert isinstance(await upload.error(), errors.Cancelled)
        await other.upload(portrait[0])
        await other.until("seal")
        await other.deliver()
        await other.until("receipt")
    receipts = await books.balance(mesh)
    assert {receipts[photo_id].reason for photo_id in mine} == {"requested"}
    assert receipts[other.accepted.photo_id].outcome == "settled"
