"""Collect through a real gateway: one claimant, who goes on where the connection broke, and says when it is safe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mayfly.gateway.v1 import gateway_pb2 as pb
from mesh.errors import Cancelled, Invalid, NotFound, Unavailable
from mesh.testing.wait import eventually
from tests.unit.services.gateway.journey.trips import uploaded
from tests.unit.services.gateway.world import BUNDLE, Phone, World, running
from tests.unit.serving import drop_all

ME, OTHER = b"m" * 16, b"o" * 16
AWAY = Unavailable("REGISTRY_UNAVAILABLE", "Away.", retry_after=0.1)
ALL = 6
"""Messages of the picture: its header, four chunks, its seal."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as world:
        yield world


@pytest.fixture
async def phone(world: World) -> Phone:
    """A phone whose picture is parked."""
    phone = await uploaded(world)
    phone.call.cancel()
    world.engine.may_finish.set()
    await world.over("parked")
    assert len(world.lease.segments) == ALL
    return phone


def picture_of(messages: list[pb.CollectResponse]) -> bytes:
    return b"".join(message.chunk for message in messages)


async def cut_off(phone: Phone, count: int, **fields: Any) -> list[pb.CollectResponse]:
    """Reads so many messages; then the connection breaks."""
    call = phone.collecting(**fields)
    messages = [await call.read() for _ in range(count)]
    call.cancel()
    return messages


@pytest.mark.parametrize("count", [1, 3, ALL - 1])
async def test_the_same_claimant_goes_on_where_it_was_cut_off(world: World, phone: Phone, count: int) -> None:
    first = await cut_off(phone, count, claimant=ME, will_confirm=True)
    with pytest.raises(NotFound):
        await phone.collect(claimant=OTHER)
    with pytest.raises(NotFound):
        await phone.collect()
    rest = await phone.collect(claimant=ME, received_messages=count)
    assert picture_of(first + rest) == world.engine.picture.data
    assert [m.WhichOneof("message") for m in first + rest] == ["header", *["chunk"] * 4, "seal", "receipt"]
    assert world.purge.returned == 0
    await world.over("settled")


async def test_it_may_also_begin_anew(world: World, phone: Phone) -> None:
    await cut_off(phone, 3, claimant=ME, will_confirm=True)
    assert picture_of(await phone.collect(claimant=ME)) == world.engine.picture.data


async def test_what_has_arrived_whole_is_only_settled(world: World, phone: Phone) -> None:
    await phone.collect(claimant=ME, will_confirm=True)
    [message] = await phone.collect(claimant=ME, received_messages=ALL)
    assert message.receipt.bundle == BUNDLE
    await world.over("settled")


async def test_a_picture_stays_until_it_is_confirmed(world: World, phone: Phone) -> None:
    with pytest.raises(NotFound):
        await phone.confirm(ME)
    for _ in range(2):
        messages = await phone.collect(claimant=ME, will_confirm=True)
        assert messages[-1].WhichOneof("message") == "seal"
        assert picture_of(messages) == world.engine.picture.data
        assert world.lease.state == "claimed"
    for claimant, token in ((OTHER, ""), (ME, "A" * 43)):
        with pytest.raises(NotFound):
            await phone.confirm(claimant, token)
    assert await phone.confirm(ME) == BUNDLE
    assert (await world.over("settled")).holders == ["gateway/gateway-0/00"]
    assert await phone.confirm(ME) == BUNDLE, "the answer may have been lost"
    with pytest.raises(NotFound):
        await phone.collect(claimant=ME)


async def test_a_gateway_that_never_held_the_picture_is_not_waited_for(world: World, phone: Phone) -> None:
    world.lease.state, world.lease.claimant = "claimed", ME  # through another gateway, or before a restart
    assert await phone.confirm(ME) == BUNDLE
    assert (await world.over("settled")).holders == []


async def test_a_confirmation_waits_for_a_registry_that_is_briefly_away(world: World, phone: Phone) -> None:
    await phone.collect(claimant=ME, will_confirm=True)
    world.purge.fail["SettleLease"] = AWAY
    confirming = asyncio.create_task(phone.confirm(ME))
    await eventually(lambda: world.purge.failed["SettleLease"] >= 2)
    del world.purge.fail["SettleLease"]
    assert await confirming == BUNDLE


@pytest.mark.parametrize("hangs_up", [False, True])
async def test_without_confirmation_the_last_byte_settles_also_if_the_registry_is_briefly_away(
    world: World, phone: Phone, hangs_up: bool
) -> None:
    world.purge.fail["SettleLease"] = AWAY
    call = phone.collecting()
    messages = [await call.read() for _ in range(ALL)]
    assert picture_of(messages) == world.engine.picture.data
    await eventually(lambda: world.purge.failed["SettleLease"] >= 2)
    if hangs_up:
        call.cancel()
    del world.purge.fail["SettleLease"]
    await world.over("settled")
    if not hangs_up:
        assert (await call.read()).receipt.bundle == BUNDLE


async def test_a_claim_of_which_no_byte_has_left_goes_back(world: World, phone: Phone) -> None:
    lease = world.lease
    good, lease.segments[0] = lease.segments[0], bytes(len(lease.segments[0]))
    with pytest.raises(NotFound):
        await phone.collect(claimant=ME)
    await eventually(lambda: world.purge.returned == 1)
    lease.segments[0] = good
    assert picture_of(await phone.collect(claimant=OTHER)) == world.engine.picture.data


@pytest.mark.parametrize("claimant", [ME, b""])
async def test_a_claim_of_which_a_byte_has_left_stays(world: World, phone: Phone, claimant: bytes) -> None:
    lease = world.lease
    good, lease.segments[2] = lease.segments[2], bytes(len(lease.segments[2]))
    with pytest.raises(NotFound):
        await phone.collect(claimant=claimant)
    lease.segments[2] = good
    assert await world.over("claimed") and world.purge.returned == 0
    for other in (OTHER, b""):
        with pytest.raises(NotFound):
            await phone.collect(claimant=other)
    if claimant:
        assert picture_of(await phone.collect(claimant=claimant)) == world.engine.picture.data


async def test_a_claimant_that_comes_again_takes_over_from_its_stalled_call(world: World, phone: Phone) -> None:
    """Its old connection is dead, but the gateway doesn't know yet: that call waits for room to write."""
    stalled = phone.collecting(claimant=ME, will_confirm=True)
    first = [await stalled.read()]
    await eventually(lambda: world.held("gateway"))
    rest = await phone.collect(claimant=ME, received_messages=1)
    assert picture_of(first + rest) == world.engine.picture.data
    await world.over("settled")
    stalled.cancel()


async def test_fifty_at_once_with_one_winner(world: World, phone: Phone) -> None:
    claimants = [bytes([n] * 16) for n in range(50)]
    calls = [phone.collect(claimant=claimant) for claimant in claimants]
    replies = await asyncio.gather(*calls, return_exceptions=True)
    [won] = [reply for reply in replies if not isinstance(reply, NotFound)]
    assert not isinstance(won, BaseException)
    assert picture_of(won) == world.engine.picture.data
    await world.over("settled")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"claimant": b"short"}, "CLAIMANT_SIZE"),
        ({"will_confirm": True}, "CLAIMANT_SIZE"),
    ],
)
async def test_what_is_no_claimant(world: World, phone: Phone, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        await phone.collect(**fields)
    assert refused.value.reason == reason
    assert world.lease.state == "parked"


async def test_a_revoked_picture_ends_in_the_middle_of_its_collection(world: World, phone: Phone) -> None:
    call = phone.collecting(claimant=ME)
    await call.read()
    await eventually(lambda: world.held("gateway"))
    world.lease.state = "revoked"
    drop_all(world.books["gateway"], Cancelled("PHOTO_REVOKED", "Taken back."))
    await eventually(lambda: not world.held("gateway"))
    with pytest.raises(NotFound):
        await phone.collect(claimant=ME, received_messages=1)
