"""A deployment of Redis and what goes wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from mesh.testing.redis_server import HOST, RedisServer, Users
from services.purge.acl import acl_rules
from tests.chaos.crowd import OVERRIDES, Crowd

_PASSWORD, _ADMIN = "for-purge", "for-admin"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Servers that run, and a fault that is still to come.

    purge:       what purge is told in order to find them.
    servers:     whose keys are looked at afterwards.
    fault:       from its beginning to its end; gets the callers in whose midst it happens.
    takes_over:  whether others take over while it lasts, so that new photos work before it ends.
    expected:    reasons that some caller must have been told, or the fault was none.
    """

    purge: Mapping[str, str]
    servers: Sequence[RedisServer]
    fault: Callable[[Crowd], Awaitable[None]]
    takes_over: bool = False
    expected: Sequence[str] = field(default=())

    @property
    def overrides(self) -> Mapping[str, Mapping[str, str]]:
        """For a LocalMesh."""
        return {**OVERRIDES, "purge": self.purge}


Make = Callable[[], AbstractContextManager[Trouble]]


def users() -> Users:
    """Purge's user, with nothing but what purge is allowed; and one who may do everything."""
    sha256 = {word: hashlib.sha256(word.encode()).hexdigest() for word in (_PASSWORD, _ADMIN)}
    acl = acl_rules("purge", sha256[_PASSWORD]) + f"user admin on #{sha256[_ADMIN]} ~* &* +@all\n"
    return Users(acl, "purge", _PASSWORD, "admin", _ADMIN)


def at(url: str, *servers: RedisServer) -> Mapping[str, str]:
    """servers: those that purge learns of from Sentinel or the cluster, by the ports that they announce."""
    ports = ",".join(str(server.announced) for server in servers)
    return {"MAYFLY_REDIS_URL": url, "MAYFLY_REDIS_PORTS": ports}


def single_url(server: RedisServer, scheme: str = "redis") -> str:
    return f"{scheme}://{server.users.username}:{server.users.password}@{HOST}:{server.port}/0"
