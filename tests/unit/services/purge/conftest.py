"""A real Valkey per module, as Mayfly wants it, and an administrator who sees everything in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from mesh.testing.valkey import ValkeyServer
from services.purge.address import RedisAddress
from services.purge.link import Link
from services.purge.registry import Registry
from tests.unit.services.purge.world import admin_of, new_valkey


@pytest.fixture(scope="module")
def shared_valkey() -> Iterator[ValkeyServer]:
    with new_valkey() as server:
        yield server


@pytest.fixture
def admin(shared_valkey: ValkeyServer) -> Iterator[Any]:
    """An administrator of the module's server, which is empty."""
    client = admin_of(shared_valkey)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def valkey(shared_valkey: ValkeyServer, admin: Any) -> ValkeyServer:
    return shared_valkey


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A server of the test's own, to kill, pause and reconfigure."""
    with new_valkey() as server:
        yield server


@pytest.fixture
async def registry(valkey: ValkeyServer) -> AsyncIterator[Registry]:
    registry = Registry(Link(RedisAddress(valkey.url)))
    await registry.start()
    yield registry
    await registry.link.close()
