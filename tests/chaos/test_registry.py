"""Valkey goes away, comes back empty, or starts to write to disk; purge goes away."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections.abc import Iterator

import pytest
import redis

from clients.local import ops
from mesh import errors
from mesh.testing.valkey import ValkeyServer
from services.purge.acl import acl_rules, arguments
from tests.e2e import books
from tests.e2e.phone import Phone

QUICK = "bright_day"


async def whole_trip(mesh, photo: bytes, subject: str = "parent") -> str:
    """A photo from start to receipt; its id."""
    async with Phone(mesh, subject) as phone:
        upload = await (await phone.render().start(QUICK)).upload(photo)
        await upload.until("seal")
        await upload.deliver()
        await upload.until("receipt")
        return upload.accepted.photo_id


async def test_without_purge_no_photo_is_taken(fresh_mesh, portrait):
    mesh = fresh_mesh({"render": {"MAYFLY_RENDER_ENGINE": "null"}})
    mesh.kill("purge")
    async with Phone(mesh) as phone:
        with pytest.raises(errors.Unavailable) as raised:
            await phone.render().start(QUICK)
        assert raised.value.retry_after
    mesh.restart("purge")
    await books.recovered(mesh)
    await whole_trip(mesh, portrait[0])
    await books.balance(mesh)


async def test_without_valkey_no_lease_is_granted_and_those_in_flight_end(fresh_mesh, portrait):
    mesh = fresh_mesh({"render": {"MAYFLY_RENDER_ENGINE": "null"}})
    async with Phone(mesh) as phone:
        upload = await phone.render().start(QUICK, ttl=4)
        await upload.send(portrait[0][:1000])
        mesh.kill("valkey")
        with pytest.raises(errors.Unavailable) as raised:
            await phone.render().start(QUICK)
        assert raised.value.retry_after
        error = await upload.error()
        assert isinstance(error, errors.Overdue | errors.Cancelled | errors.Unavailable)
    await books.eventually(lambda: upload.accepted.photo_id in books.receipts(mesh), 4 + 2, "no receipt")
    mesh.restart("valkey")
    await books.recovered(mesh)
    receipts = await books.balance(mesh)
    assert receipts[upload.accepted.photo_id].outcome in ("expired", "revoked")
    await whole_trip(mesh, portrait[0])


async def test_a_frozen_valkey_holds_nobody_beyond_the_lease(fresh_mesh, portrait):
    mesh = fresh_mesh({"render": {"MAYFLY_RENDER_ENGINE": "null"}})
    async with Phone(mesh) as phone:
        upload = await phone.render().start(QUICK, ttl=3)
        mesh.kill("valkey", signal.SIGSTOP)
        try:
            error = await upload.error()
            assert isinstance(error, errors.Overdue | errors.Cancelled | errors.Unavailable)
            assert not books.custody(mesh)
        finally:
            mesh.kill("valkey", signal.SIGCONT)
    await books.recovered(mesh)
    assert (await books.balance(mesh))[upload.accepted.photo_id].outcome != "settled"
    await whole_trip(mesh, portrait[0])


@pytest.fixture
def other_redis(monkeypatch) -> Iterator[ValkeyServer]:
    """A server that isn't the embedded one, with an administrator beside purge's user."""
    acl = acl_rules("purge", hashlib.sha256(b"for-purge").hexdigest()) + "user admin on >for-admin ~* +@all\n"
    server = ValkeyServer(acl=acl, username="purge", password="for-purge", arguments=arguments(valkey=True))
    with server:
        monkeypatch.setenv("MAYFLY_REDIS_URL", server.url)
        yield server


@pytest.mark.parametrize(("setting", "value", "off"), [("save", "3600 1", ""), ("appendonly", "yes", "no")])
async def test_persistence_stops_leases_and_is_named(other_redis, fresh_mesh, portrait, setting, value, off):
    mesh = fresh_mesh({"render": {"MAYFLY_RENDER_ENGINE": "null"}})
    await whole_trip(mesh, portrait[0])
    admin = redis.Redis.from_url(other_redis.url_for("admin", "for-admin"))
    admin.config_set(setting, value)
    async with Phone(mesh) as phone, asyncio.timeout(10):
        while (error := await refusal(phone)) is None:
            pass
    assert error.reason == "REGISTRY_UNSAFE" and setting in error.message
    assert "registry" in ops.readiness(mesh.ops_address("purge")).failing
    admin.config_set(setting, off)
    admin.close()
    await books.recovered(mesh)
    await whole_trip(mesh, portrait[0])
    await books.balance(mesh)


async def refusal(phone: Phone) -> errors.Unavailable | None:
    """Why no lease is granted; None if one is."""
    try:
        upload = await phone.render().start(QUICK)
    except errors.Unavailable as error:
        return error
    upload.hang_up()
    return None
