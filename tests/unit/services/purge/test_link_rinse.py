"""Rinsing the connections to a real server: each that may have carried ciphertext, or it is still to be done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from mesh.errors import Unavailable
from mesh.testing.valkey import ValkeyServer
from services.purge.address import RedisAddress
from services.purge.link import Link

_RULES = "user default off\nuser purge on >p ~* &* +@all\nuser admin on >a ~* &* +@all\n"
_RINSED = 20_000
"""Bytes: less than a rinse, more than anything else that goes to the server meanwhile."""


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with ValkeyServer(acl=_RULES, username="purge", password="p") as up:
        yield up


@pytest.fixture
async def link(server: ValkeyServer) -> AsyncIterator[Link]:
    link = Link(RedisAddress(server.url))
    await link.load_library()
    yield link
    await link.close()


@pytest.fixture
def admin(server: ValkeyServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url_for("admin", "a")) as client:
        yield client


def _received(admin: redis.Redis) -> dict[str, int]:
    """Bytes by connection of purge's."""
    return {each["id"]: int(each["tot-net-in"]) for each in admin.client_list() if each["user"] == "purge"}


async def test_every_connection_is_rinsed_whichever_way_it_was_used(link: Link, admin: redis.Redis) -> None:
    """Pictures are read one by one, and written in batches: at one time, by connections of one pool."""
    admin.rpush("parked:a", b"c" * 500_000)
    reads = [link.run(lambda client: client.lindex("parked:a", 0)) for _ in range(3)]
    writes = [link.send("parked:b", "RPUSH", "parked:b", b"d" * 1_500_000) for _ in range(3)]
    await asyncio.gather(*reads, *writes)
    before = _received(admin)
    assert len(before) > 3
    await link.rinse()
    after = _received(admin)
    assert [each for each in before if after[each] - before[each] < _RINSED] == []


async def test_a_rinse_that_is_refused_is_still_to_be_done(link: Link, admin: redis.Redis) -> None:
    await asyncio.gather(*(link.run(lambda client: client.ping()) for _ in range(3)))
    admin.execute_command("ACL", "SETUSER", "purge", "-fcall")
    with pytest.raises(Unavailable):
        await link.rinse()
    admin.execute_command("ACL", "SETUSER", "purge", "+fcall")
    before = _received(admin)
    await link.rinse()
    after = _received(admin)
    assert sum(after[each] - before[each] > _RINSED for each in before) >= 3, "as many as before"


async def test_there_is_nothing_to_rinse_of_a_server_that_is_gone(link: Link, server: ValkeyServer) -> None:
    server.kill()
    await link.rinse()
