"""Redis deployments that a test breaks: real servers, with purge's user and an administrator."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from mesh.testing.redis_server import Users
from services.purge.acl import acl_rules, arguments
from tests.chaos.crowd import OVERRIDES

_PASSWORD, _ADMIN = "for-purge", "for-admin"
ARGUMENTS = arguments(valkey=True)
PLAIN_ARGUMENTS = arguments(valkey=False)
"""For a server that isn't Valkey."""


def users() -> Users:
    """Purge's user, with nothing but what purge is allowed; and one who may do everything."""
    sha256 = {word: hashlib.sha256(word.encode()).hexdigest() for word in (_PASSWORD, _ADMIN)}
    acl = acl_rules("purge", sha256[_PASSWORD]) + f"user admin on #{sha256[_ADMIN]} ~* &* +@all\n"
    return Users(acl, "purge", _PASSWORD, "admin", _ADMIN)


def overrides(url: str, **purge: str) -> Mapping[str, Mapping[str, str]]:
    """A mesh whose registry is at ``url``."""
    return {**OVERRIDES, "purge": {"MAYFLY_REDIS_URL": url, **purge}}


def single_url(users: Users, port: int, scheme: str = "redis") -> str:
    return f"{scheme}://{users.username}:{users.password}@127.0.0.1:{port}/0"
