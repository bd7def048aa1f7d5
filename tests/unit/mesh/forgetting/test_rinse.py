"""Connections are rinsed by a call that only listed services may make, and that is passed on where it must be."""

from __future__ import annotations

from mesh.forgetting import rinse
from mesh.frames import sole_field
from tests.unit.serving import calling, served

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
        answer = await channel.unary_unary(rinse.METHOD)(rinse.MESSAGE)
    field, at = sole_field(answer)
    assert (field, len(answer) - at) == (1, 32 << 10)
    assert onward == ["rinsed"] * 2


async def test_a_peer_that_is_away_or_refuses_is_no_error() -> None:
    async with (
        served(rinse.add_to, service="ingest", allowed=_ALLOWED) as address,
        calling(address, "ingest", caller="render") as channel,
    ):
        assert not await rinse.Rinsing(channel)()
    async with calling(address, "ingest") as channel:
        assert not await rinse.Rinsing(channel)()
