"""Calls of many tasks share round trips; each gets its own reply, in order, and its own error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ConnectionError as Disconnected

from mesh.errors import Unavailable
from mesh.testing.valkey import ValkeyServer
from services.purge.address import RedisAddress
from services.purge.batching import IN_FLIGHT, MAX_BYTES, MAX_COMMANDS, MAX_WAITING, Lane
from services.purge.link import Link


class Wire:
    """A server that echoes; each exchange waits for ``let_go``."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def exchange(self, packed: Sequence[bytes]) -> list[Any]:
        self.batches.append(list(packed))
        await self.gate.wait()
        return [self.failure or b"<" + word for word in packed]


async def test_what_comes_during_a_round_trip_goes_out_together_in_order() -> None:
    wire = Wire()
    wire.gate.clear()
    lane = Lane(wire.exchange)
    futures = [lane.send([b"a"]), lane.send([b"b", b"c"])]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert wire.batches == [[b"a", b"b", b"c"]], "one tick, one batch, and nobody waited for more"
    late = []
    for word in (b"1", b"2", b"3"):
        late.append(lane.send([word]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert wire.batches[1:] == [[b"1"]], f"{IN_FLIGHT} are under way"
    wire.gate.set()
    assert await asyncio.gather(*futures) == [[b"<a"], [b"<b", b"<c"]]
    assert await asyncio.gather(*late) == [[b"<1"], [b"<2"], [b"<3"]]
    assert wire.batches[2:] == [[b"2", b"3"]]
    assert lane.round_trips == 3


async def test_a_rinse_takes_every_connection_that_batches_had_since_the_last_one() -> None:
    """Two parks at once use two connections, and each keeps the end of what passed over it."""
    wire, lane, both = await _two_under_way()
    wire.gate.set()
    await asyncio.gather(*both)
    await _ticks()
    for expected in (2, 1):
        wire.batches.clear()
        await lane.rinse([b"r"])
        assert wire.batches == [[b"r"]] * expected


async def test_what_is_under_way_during_a_rinse_is_rinsed_by_the_next() -> None:
    wire, lane, both = await _two_under_way()
    rinse = asyncio.ensure_future(lane.rinse([b"r"]))
    await _ticks()
    wire.gate.set()
    await asyncio.gather(rinse, *both)
    wire.batches.clear()
    await lane.rinse([b"r"])
    assert wire.batches == [[b"r"]] * 2


async def _two_under_way() -> tuple[Wire, Lane, list[asyncio.Future[list[Any]]]]:
    """Two batches, each on a connection of its own, that wait for their replies."""
    wire = Wire()
    wire.gate.clear()
    lane = Lane(wire.exchange)
    both = []
    for word in (b"a", b"b"):
        both.append(lane.send([word]))
        await _ticks()
    return wire, lane, both


async def _ticks() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_batches_end_in_number_and_in_bytes() -> None:
    wire = Wire()
    lane = Lane(wire.exchange)
    await asyncio.gather(*[lane.send([b"x"]) for _ in range(MAX_COMMANDS + 1)])
    assert [len(batch) for batch in wire.batches] == [MAX_COMMANDS, 1]
    wire.batches.clear()
    segment = bytes(MAX_BYTES // 2)
    await asyncio.gather(*[lane.send([segment]) for _ in range(5)])
    assert [len(batch) for batch in wire.batches] == [2, 2, 1]
    wire.batches.clear()
    await lane.send([b"x"] * (MAX_COMMANDS + 5))
    assert [len(batch) for batch in wire.batches] == [MAX_COMMANDS + 5], "a group stays together"


async def test_what_waits_is_bounded() -> None:
    wire = Wire()
    wire.gate.clear()
    lane = Lane(wire.exchange)
    segment = bytes(MAX_WAITING // 4)
    waiting = [lane.send([segment]) for _ in range(4)]
    (refused,) = await lane.send([b"x"])
    assert isinstance(refused, Disconnected)
    wire.gate.set()
    assert all(not isinstance(reply[0], Exception) for reply in await asyncio.gather(*waiting))
    assert await lane.send([b"x"]) == [b"<x"], "there is room again"


async def test_who_waits_behind_a_dead_server_is_told_at_once() -> None:
    wire = Wire()
    wire.gate.clear()
    wire.failure = Disconnected("gone")
    lane = Lane(wire.exchange)
    under_way = lane.send([b"a"])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = [lane.send([bytes(MAX_BYTES)]) for _ in range(6)]
    wire.gate.set()
    for (reply,) in await asyncio.gather(under_way, *waiting):
        assert isinstance(reply, Disconnected)
    assert len(wire.batches) <= 1 + IN_FLIGHT, "the rest was never sent"
    wire.failure = None
    assert await lane.send([b"b"]) == [b"<b"]


async def test_a_caller_that_leaves_takes_nobodys_reply(valkey: ValkeyServer) -> None:
    link = Link(RedisAddress(valkey.url))
    names = [f"owner:{n:032x}" for n in range(300)]
    await asyncio.gather(*[link.send(name, "SET", name, name, "PX", 60_000) for name in names])
    assert link.round_trips <= 2
    for _ in range(10):
        tasks = [asyncio.create_task(link.send(name, "GET", name)) for name in names]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        replies = await asyncio.gather(*tasks, return_exceptions=True)
        for name, reply in zip(names, replies, strict=True):
            assert reply == name.encode() or isinstance(reply, asyncio.CancelledError)
    assert link.calls == 3300
    await link.close()


async def test_an_error_is_its_callers_alone(valkey: ValkeyServer) -> None:
    link = Link(RedisAddress(valkey.url))
    name = "owner:" + "a" * 32
    good, bad, foreign, again = await asyncio.gather(
        link.send(name, "ZADD", name, 1, "x"),
        link.send(name, "GET", name),
        link.send("other", "GET", "other"),
        link.send(name, "PEXPIRE", name, 60_000),
        return_exceptions=True,
    )
    assert (good, again, link.round_trips) == (1, 1, 1)
    assert isinstance(bad, Unavailable)
    assert isinstance(foreign, Unavailable)
    assert "ACL" in foreign.message
    assert link.up, "it answers"
    each = await link.send_each([(name, ["ZRANGE", name, 0, -1]), ("other", ["GET", "other"])])
    assert each[0] == [b"x"]
    assert isinstance(each[1], Unavailable)
    with pytest.raises(Unavailable):
        await link.send("other", "GET", "other")
    await link.close()
