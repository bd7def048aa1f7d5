"""A phone that goes away: its picture waits, once, for whoever has the token."""

from __future__ import annotations

import asyncio
import io

import pytest
import redis
from PIL import Image

from mesh.errors import MeshError, NotFound, Unavailable
from mesh.testing.wait import eventually
from tests.e2e import books
from tests.e2e.phone import Phone

SCENE = "bright_day"


async def collect(phone, upload, seconds: float = 20.0):
    """Collects, trying again while the picture is being made."""

    async def attempt():
        try:
            return await phone.collect(upload.accepted.photo_id, upload.accepted.resume_token)
        except Unavailable as error:
            assert error.reason == "NOT_PARKED_YET"
            return None

    return await eventually(attempt, within=seconds, every=0.1)


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


async def test_only_one_of_many_collects_wins(mesh, phone, portrait):
    upload = await (await phone.render().start(SCENE)).upload(portrait[0])
    await upload.until("header")
    upload.hang_up()
    await books.eventually(lambda: parked(mesh), 10, "nothing is parked")

    async def attempt() -> bool:
        try:
            return bool(await collect(phone, upload))
        except NotFound:
            return False

    outcomes = await asyncio.gather(*(attempt() for _ in range(12)))
    assert outcomes.count(True) == 1
    await books.balance(mesh)


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


async def test_a_picture_that_nobody_collects_expires(mesh, phone, portrait):
    upload = await (await phone.render().start(SCENE, ttl=6)).upload(portrait[0])
    await upload.until("header")
    upload.hang_up()
    receipts = await books.balance(mesh, 6 + 2)
    receipt = receipts[upload.accepted.photo_id]
    assert (receipt.outcome, receipt.reason) == ("expired", "overdue")
    with pytest.raises(NotFound):
        await phone.collect(upload.accepted.photo_id, upload.accepted.resume_token)
