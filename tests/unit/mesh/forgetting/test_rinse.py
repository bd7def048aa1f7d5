"""Connections are rinsed by a call that only listed services may make, and that is passed on where it must be."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from mesh.errors import Invalid, Unavailable
from mesh.forgetting import rinse
from mesh.frames import sole_field
from tests.unit.serving import calling, error_of, served

_ALLOWED = {rinse.METHOD: frozenset({"gateway"})}


async def test_a_peer_answers_with_as_much_as_it_was_sent() -> None:
    onward: list[str] = []

    async def pass_on() -> None:
        onward.append("rinsed")

    async with (
        served(lambda server: rinse.add_to(server, pass_on), service="ingest", allowed=_ALLOWED) as address,
        calling(address, "ingest") as channel,
    ):
        assert await rinse.Rinsing(channel)()
        assert onward == [], "nothing has passed yet, and no connection is made for it"
        answer = await channel.unary_unary(rinse.METHOD)(rinse.MESSAGE)
        assert await rinse.Rinsing(channel)()
    field, at = sole_field(answer)
    assert (field, len(answer) - at) == (1, 32 << 10)
    assert onward == ["rinsed"] * 2


async def test_where_there_is_no_connection_there_is_nothing_to_rinse() -> None:
    async with (
        served(rinse.add_to, service="ingest", allowed=_ALLOWED) as address,
        calling(address, "ingest", caller="render") as channel,
    ):
        assert (await error_of(channel.unary_unary(rinse.METHOD)(rinse.MESSAGE))).reason == "CALLER_NOT_ALLOWED"
        assert await rinse.Rinsing(channel)(), "refused, but it has read what it refused"
    async with calling(address, "ingest") as channel:
        assert await rinse.Rinsing(channel)()
        assert channel.get_state() is grpc.ChannelConnectivity.IDLE


async def test_a_peer_that_does_not_answer_is_told() -> None:
    hold = asyncio.Event()
    async with (
        served(lambda server: rinse.add_to(server, hold.wait), service="ingest", allowed=_ALLOWED) as address,
        calling(address, "ingest") as channel,
    ):
        await error_of(channel.unary_unary(rinse.METHOD)(b""))  # connects
        assert not await rinse.Rinsing(channel)()
        hold.set()
        assert await rinse.Rinsing(channel)()


async def test_a_peer_that_could_not_pass_it_on_is_told() -> None:
    async def away() -> None:
        raise Unavailable("REGISTRY_UNAVAILABLE", "Away.", retry_after=1)

    async with (
        served(lambda server: rinse.add_to(server, away), service="ingest", allowed=_ALLOWED) as address,
        calling(address, "ingest") as channel,
    ):
        await error_of(channel.unary_unary(rinse.METHOD)(b""))  # connects
        assert not await rinse.Rinsing(channel)()


@pytest.mark.parametrize("size", [0, 1000, 200_000])
async def test_no_more_goes_out_than_comes_in(size: int) -> None:
    async with (
        served(rinse.add_to, service="ingest", allowed=_ALLOWED) as address,
        calling(address, "ingest") as channel,
    ):
        error = await error_of(channel.unary_unary(rinse.METHOD)(bytes(size)))
    assert (type(error), error.reason) == (Invalid, "MALFORMED_RINSE")
