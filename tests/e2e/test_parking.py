"""A phone that goes away: its picture waits, once, for whoever has the token."""

from __future__ import annotations

import asyncio
import io
import json
import secrets

import pytest
import redis
from PIL import Image

from mesh.errors import MeshError, NotFound, Unavailable
from mesh.testing.wait import eventually
from services.purge import keys
from tests.e2e import books
from tests.e2e.phone import Phone

SCENE = "bright_day"


async def collect(phone, upload, seconds: float = 20.0, **fields):
    """Collects, trying again while the picture is being made, or while a gateway starts."""

    async def attempt():
        try:
            return await phone.collect(upload.accepted.photo_id, upload.accepted.resume_token, **fields)
        except Unavailable as error:
            assert error.reason in ("NOT_PARKED_YET", "PEER_UNAVAILABLE", "REGISTRY_UNAVAILABLE")
            return None

    return await eventually(attempt, within=seconds, every=0.1)


async def cut_off(phone, upload, count: int, claimant: bytes):
    """Reads so many messages of the picture; then the connection breaks."""
    call = phone.collecting(
        upload.accepted.photo_id, upload.accepted.resume_token, claimant=claimant, will_confirm=True
    )
    messages = [await call.read() for _ in range(count)]
    call.cancel()
    return messages


async def parked_picture(mesh, phone, photo: bytes, ttl: float = 30.0):
    upload = await (await phone.render().start(SCENE, ttl=ttl)).upload(photo)
    await upload.until("seal")
    upload.hang_up()
    await books.eventually(lambda: is_collectable(mesh, upload.accepted.photo_id), 10, "it is not parked")
    return upload


def is_collectable(mesh, photo_id: str) -> bool:
    """Whether all of this very picture is parked: its key is there from the first segment on."""
    with redis.Redis.from_url(mesh.valkey_client_url) as client:
        return client.hget(keys.of_photo(photo_id).lease, "state") == b"parked"


def picture_of(messages) -> bytes:
    return b"".join(message.chunk for message in messages)


@pytest.mark.parametrize("moment", ["scrubbed", "progress", "header", "picture"])
async def test_a_picture_waits_for_a_phone_that_hung_up(mesh, phone, portrait, moment):
    data, _ = portrait
    upload = await (await phone.render().start(SCENE)).upload(data)
    # Not sooner than the answer to the seal: a hang-up may overtake what is still on its way.
    await upload.until({"picture": "seal"}.get(moment, moment))
    upload.hang_up()
    messages = await collect(phone, upload)
    kinds = [message.WhichOneof("message") for message in messages]
    assert kinds[0] == "header" and kinds[-2:] == ["seal", "receipt"]
    picture = b"".join(message.chunk for message in messages if message.WhichOneof("message") == "chunk")
    Image.open(io.BytesIO(picture)).load()
    assert len(picture) == messages[0].header.picture.byte_count == messages[-2].seal.byte_count
    receipt = (await books.balance(mesh))[upload.accepted.photo_id]
    assert (receipt.outcome, receipt.reason) == ("settled", "collected")
    with pytest.raises(NotFound):
        await phone.collect(upload.accepted.photo_id, upload.accepted.resume_token)


async def test_of_fifty_claimants_one_wins_and_only_that_one_goes_on(mesh, phone, portrait):
    upload = await parked_picture(mesh, phone, portrait[0])
    claimants = [secrets.token_bytes(16) for _ in range(50)]

    async def attempt(claimant: bytes):
        try:
            return claimant, await collect(phone, upload, claimant=claimant, will_confirm=True)
        except NotFound:
            return None

    [(winner, messages)] = [won for won in await asyncio.gather(*map(attempt, claimants)) if won]
    assert picture_of(messages) == upload.picture
    again = await asyncio.gather(*map(attempt, claimants))
    assert [won[0] for won in again if won] == [winner]
    photo_id, token = upload.accepted.photo_id, upload.accepted.resume_token
    with pytest.raises(NotFound):
        await phone.confirm(photo_id, token, next(c for c in claimants if c != winner))
    bundle = await phone.confirm(photo_id, token, winner)
    again = await phone.confirm(photo_id, token, winner)
    # The log may have integrated the receipt meanwhile: then the second answer has a proof as well.
    assert json.loads(again)["envelope"] == json.loads(bundle)["envelope"]
    assert (await books.balance(mesh))[photo_id].reason == "collected"


@pytest.mark.parametrize("count", [1, 2])
async def test_a_collection_that_was_cut_off_goes_on_for_its_claimant_only(mesh, phone, portrait, count):
    upload = await parked_picture(mesh, phone, portrait[0])
    photo_id, token, me = upload.accepted.photo_id, upload.accepted.resume_token, secrets.token_bytes(16)
    first = await cut_off(phone, upload, count, me)
    for other in (secrets.token_bytes(16), b""):
        with pytest.raises(NotFound):
            await phone.collect(photo_id, token, claimant=other)
    rest = await collect(phone, upload, claimant=me, received_messages=count)
    assert picture_of(first + rest) == upload.picture
    assert rest[-1].receipt.bundle
    assert (await books.balance(mesh))[photo_id].reason == "collected"


async def test_a_collection_goes_on_through_a_gateway_that_was_killed(fresh_mesh, portrait):
    mesh = fresh_mesh()
    async with Phone(mesh) as phone:
        upload = await parked_picture(mesh, phone, portrait[0], ttl=60)
        me = secrets.token_bytes(16)
        call = phone.collecting(upload.accepted.photo_id, upload.accepted.resume_token, claimant=me, will_confirm=True)
        first = [await call.read()]
        mesh.kill("gateway")
        await asyncio.to_thread(mesh.restart, "gateway")
    async with Phone(mesh) as phone:
        rest = await collect(phone, upload, claimant=me, received_messages=1)
        assert picture_of(first + rest) == upload.picture
        receipt = (await books.balance(mesh))[upload.accepted.photo_id]
        assert (receipt.outcome, receipt.reason) == ("settled", "collected")


def parked(mesh) -> bool:
    return any(key.startswith("parked:") for key in books.live_keys(mesh))


async def test_a_wrong_token_and_a_stranger_find_nothing(mesh, phone, portrait):
    upload = await (await phone.render().start(SCENE, ttl=20)).upload(portrait[0])
    await upload.until("header")
    upload.hang_up()
    await books.eventually(lambda: parked(mesh), 10, "nothing is parked")
    photo_id, token = upload.accepted.photo_id, upload.accepted.resume_token
    errors = []
    async with Phone(mesh, "stranger") as stranger:
        for caller, wanted, shown in [
            (phone, photo_id, "A" * 43),
            (phone, photo_id, "no token at all"),
            (phone, "0" * 32, token),
            (phone, "not an id", token),
            (stranger, photo_id, token),
        ]:
            with pytest.raises(MeshError) as raised:
                await caller.collect(wanted, shown)
            errors.append((type(raised.value), raised.value.reason, raised.value.message))
    assert {error[:2] for error in errors} == {(NotFound, "PHOTO_NOT_FOUND")}
    assert len({error[2] for error in errors}) == 1, "the errors must not tell which of them is nearly right"
    await collect(phone, upload)
    await books.balance(mesh)


async def test_a_parked_picture_is_ciphertext(mesh, phone, portrait):
    upload = await (await phone.render().start(SCENE)).upload(portrait[0])
    await upload.until("seal")
    upload.hang_up()
    await books.eventually(lambda: parked(mesh), 10, "nothing is parked")
    with redis.Redis.from_url(mesh.valkey_client_url) as client:
        key = next(key for key in client.scan_iter(match="parked:*"))
        stored = b"".join(client.lindex(key, at) for at in range(client.llen(key)))
    windows = [upload.picture[at : at + 32] for at in range(0, len(upload.picture) - 32, 997)]
    assert windows and not any(window in stored for window in windows)
    assert b"\xff\xd8\xff" not in stored
    await collect(phone, upload)
    await books.balance(mesh)


async def test_a_picture_expires_that_nobody_collects_or_somebody_began_to(mesh, phone, portrait):
    me = secrets.token_bytes(16)
    uploads = [await parked_picture(mesh, phone, portrait[0], ttl=8) for _ in range(2)]
    await cut_off(phone, uploads[1], 1, me)
    receipts = await books.balance(mesh, 8 + 2)
    for upload in uploads:
        photo_id, token = upload.accepted.photo_id, upload.accepted.resume_token
        assert (receipts[photo_id].outcome, receipts[photo_id].reason) == ("expired", "overdue")
        with pytest.raises(NotFound):
            await phone.collect(photo_id, token, claimant=me, received_messages=1)
        with pytest.raises(NotFound):
            await phone.confirm(photo_id, token, me)
