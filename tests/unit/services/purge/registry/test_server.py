"""A server that dies, pauses, forgets its functions, or has others in it; and what purge may do there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mesh.errors import Unavailable
from mesh.testing.valkey import ValkeyServer
from mesh.testing.wait import eventually
from services.purge.address import RedisAddress
from services.purge.link import Link
from services.purge.registry import Registry, Reply
from services.purge.topology import MAX_CONNECTIONS
from tests.unit.services.purge.registry.facts import DAY, DIGEST, ME, NOW, OWNER
from tests.unit.services.purge.world import a_grant


async def test_a_server_that_forgot_its_functions_gets_them_again(registry: Registry, admin: Any) -> None:
    admin.function_flush()
    grant = a_grant()
    assert (await registry.grant(grant, DAY))[0] is Reply.OK
    admin.function_flush()
    assert await registry.read(grant.photo_id) is not None
    assert isinstance(await registry.claim(grant.photo_id, NOW, DIGEST, ME, [OWNER]), Reply)


async def test_a_library_that_was_changed_is_replaced(registry: Registry, admin: Any) -> None:
    other = "#!lua name=mayfly_2\nredis.register_function('mayfly_2_grant', function() return 'X' end)"
    admin.function_load(other, True)
    await registry.start()
    assert (await registry.grant(a_grant(), DAY))[0] is Reply.OK


async def test_killed_paused_and_back(own_valkey: ValkeyServer) -> None:
    registry = Registry(Link(RedisAddress(own_valkey.url)))
    await registry.start()
    own_valkey.kill()
    with pytest.raises(Unavailable) as caught:
        await registry.grant(a_grant(), DAY)
    assert (caught.value.reason, caught.value.retry_after, registry.link.up) == ("REGISTRY_UNAVAILABLE", 1, False)
    own_valkey.start()
    assert (await registry.grant(a_grant(), DAY))[0] is Reply.OK
    assert registry.link.up
    own_valkey.pause()
    with pytest.raises(Unavailable):
        await registry.read("0" * 32)
    own_valkey.resume()
    assert (await registry.grant(a_grant(), DAY))[0] is Reply.OK
    await registry.link.close()


async def test_a_cancelled_caller_leaves_its_operation_alone_and_its_reply_to_nobody(
    registry: Registry, admin: Any
) -> None:
    grants = [a_grant() for _ in range(20)]
    for grant in grants:
        await registry.grant(grant, DAY)
    connections = admin.info("stats")["total_connections_received"]
    for _ in range(20):
        tasks = [asyncio.create_task(registry.read(g.photo_id)) for g in grants]
        written = a_grant()
        tasks.append(asyncio.create_task(registry.grant(written, DAY)))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        for task in [*tasks[:20:2], tasks[20]]:
            task.cancel()
        for grant, task in list(zip(grants, tasks[:20], strict=True))[1::2]:
            record = await task
            assert record is not None
            assert record.grant.photo_id == grant.photo_id
        assert await eventually(lambda photo_id=written.photo_id: registry.read(photo_id))  # type: ignore[misc]
    assert admin.info("stats")["total_connections_received"] - connections <= MAX_CONNECTIONS, "none was torn down"


async def test_purges_user_can_do_nothing_else(valkey: ValkeyServer) -> None:
    link = Link(RedisAddress(valkey.url))
    for command in (["CONFIG", "SET", "save", "1 1"], ["FLUSHALL"], ["SAVE"], ["SET", "other", "x"], ["KEYS", "*"]):
        with pytest.raises(Unavailable):
            await link.run(lambda r, c=command: r.execute_command(*c))
    await link.close()
